"""Settings of convolutional networks that are refused: before anything is trained, with advice that works."""

from pathlib import Path
from typing import Any

import pytest

from dbn import RBM
from dbn.data.from_config import data_of
from dbn.errors import SettingError
from dbn.models.connections import Convolution
from dbn.models.dbn import DBN
from dbn.models.units import Bernoulli, MaxPooled
from dbn.runs.identity import run_identity
from finetune.runs.check_config import check_finetuning
from finetune.runs.description import describe
from finetune.runs.network_run import finetune
from finetune.runs.starting_networks import build_network, starting_points
from helpers import Composer

SHORT = ["stack.every_layer.epochs=1", "training.epochs=1", "data.n_labelled=50"]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Files of an untrained dense and an untrained convolutional stack for the digits."""
    made = {
        "dense": DBN([RBM(Bernoulli(64), Bernoulli(9))]),
        "convolutional": DBN([
            RBM(Bernoulli((1, 8, 8)), MaxPooled((8, 8, 3), 2), Convolution((1, 8, 8), 3, 3, 1, 1, maps_first=True))
        ]),
    }  # fmt: skip
    for name, stack in made.items():
        stack.save(tmp_path / f"{name}.safetensors")
    return {name: tmp_path / f"{name}.safetensors" for name in made}


@pytest.mark.parametrize(
    ("options", "kind", "words", "cure", "name"),
    [
        (["arm=dbn"], "convolutional", "Add stack=convolutional", ["arm=dbn", "stack=convolutional"], "conv_dbn"),
        (["arm=dbn", "stack.layers=[9]"], "convolutional", "are dense", ["arm=conv_dbn"], "conv_dbn"),
        (["arm=conv_dbn"], "dense", "the arm without conv_ in its name", ["arm=dbn"], "dbn"),
        (
            ["arm=dbn", "stack=convolutional"], "dense", "stack.layers=[200]",
            ["arm=dbn", "stack=convolutional", "stack.layers=[200]"], "dbn",
        ),
    ],
)  # fmt: skip
def test_a_run_from_a_given_stack_is_called_what_it_is(
    options: list[str], kind: str, words: str, cure: list[str], name: str, compose: Composer, files: dict[str, Path]
) -> None:
    """Or refused, before anything is read but the file's header, with advice that works."""
    given = [f"init.stack={files[kind]}", "training.epochs=1", "data.n_labelled=50"]
    with pytest.raises(SettingError, match=rf"^init\.stack=.*its layers are {kind}") as refused:
        check_finetuning(compose("finetune", [*options, *given]))
    assert words in str(refused.value)
    result = finetune(compose("finetune", [*cure, *given]))
    assert result["arm"] == result["name"] == name
    assert result["sizes"][1:-1] == ([9] if kind == "dense" else [48])
    assert describe({**compose("describe", [*cure, *given])}).sizes == result["sizes"], "the file's layers"


def test_the_same_arm_by_its_name_and_by_its_parts_is_the_same_run(compose: Composer) -> None:
    by_name, by_parts = (compose("finetune", words) for words in (["arm=conv_dbn"], ["arm=dbn", "stack=convolutional"]))
    assert by_name["name"] == by_parts["name"]
    assert run_identity(by_name) == run_identity(by_parts)


def start(config: dict[str, Any]) -> None:
    """A run as far as its network with its first weights."""
    check_finetuning(config)
    data = data_of(config)
    assert starting_points([config], data, [data.train])


@pytest.mark.parametrize(
    ("mistake", "words", "cures"),
    [
        (
            ["arm=conv_dbn", "normalisation=response"], "pool=probabilistic needs the fields",
            {"normalisation=batch": ["arm=conv_dbn", "normalisation=batch"],
             "normalisation=layer": ["arm=conv_dbn", "normalisation=layer"],
             "arm=conv_dbn_relu": ["arm=conv_dbn_relu", "normalisation=response"]},
        ),
        (
            ["arm=dbn", "normalisation=response"], "no convolutional layer",
            {"normalisation=batch": ["arm=dbn", "normalisation=batch"],
             "arm=conv_random_relu normalisation=response": ["arm=conv_random_relu", "normalisation=response"]},
        ),
        (
            ["arm=pca_relu", "stack=convolutional"], "a dense matrix",
            {"stack.layers=[200]": ["arm=pca_relu", "stack=convolutional", "stack.layers=[200]"],
             "start=dbn_relu": ["arm=pca_relu", "stack=convolutional", "start=dbn_relu"]},
        ),
        (
            ["arm=dae", "stack=convolutional"], "trains dense layers",
            {"stack.layers=[200]": ["arm=dae", "stack=convolutional", "stack.layers=[200]"],
             "start=dbn": ["arm=dae", "stack=convolutional", "start=dbn"]},
        ),
        (
            ["arm=dbn", "stack.augment=affine"], "it is a group of settings",
            {"augment@stack.augment=affine": ["arm=dbn", "augment@stack.augment=affine"],
             "stack.augment.rotation=10": ["arm=dbn", "stack.augment.rotation=10"]},
        ),
    ],
)  # fmt: skip
def test_what_messages_advise_can_be_trained(
    mistake: list[str], words: str, cures: dict[str, list[str]], compose: Composer
) -> None:
    with pytest.raises(SettingError, match=words) as refused:
        start(compose("finetune", [*SHORT, *mistake]))
    for advice, cure in cures.items():
        assert advice in str(refused.value)
        start(compose("finetune", [*SHORT, *cure]))


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("pool:{kind:max,size:0}", r"^network\.blocks\[1\]\.pool\.size=0: .*whole number from 1"),
        ("pool:{kind:max,size:2.5}", r"^network\.blocks\[1\]\.pool\.size=2\.5"),
        ("pool:{kind:max,size:null}", r"^network\.blocks\[1\]\.pool\.size=null"),
        ("pool:{kind:max,stride:0}", r"^network\.blocks\[1\]\.pool\.stride=0"),
        ("pool:{kind:probabilistic,stride:2}", r"^network\.blocks\[1\]\.pool\.stride: no such setting"),
        ("pool:{size:2}", r"^network\.blocks\[1\]\.pool=.*its kind is missing.*max, probabilistic"),
        ("pool:0", r"^network\.blocks\[1\]\.pool=0"),
        ("normalisation:{kind:response,neighbours:0}", r"^network\.blocks\[1\]\.normalisation\.neighbours=0"),
        ("normalisation:{kind:batch,momentum:2}", r"^network\.blocks\[1\]\.normalisation\.momentum=2"),
        ("pool:{_target_:torch.nn.MaxPool2d}", r"^network\.blocks\[1\]\.pool\._target_=.*no subclass of Pooling"),
    ],
)
def test_options_of_a_block_are_checked_before_data_are_read(option: str, words: str, compose: Composer) -> None:
    blocks = f"network.blocks=[{{kind:convolution,maps:2,kernel:3,{option}}},20]"
    with pytest.raises(SettingError, match=words):
        check_finetuning(compose("finetune", ["start=random_relu", blocks]))


def test_poolings_and_normalisations_of_ones_own_in_blocks(compose: Composer) -> None:
    """As the messages of the others advise: ``_target_``."""
    own = (
        "network.blocks=[{kind:convolution,maps:2,kernel:3,pool:{_target_:dbn.models.pooling.MaxPooling,size:3},"
        "normalisation:{_target_:finetune.networks.normalisation.BatchNorm,momentum:0.5}},20]"
    )
    config = compose("finetune", ["start=random_relu", own])
    check_finetuning(config)
    block = build_network(data_of(config), config, []).blocks[0]
    assert block.pooling.spec() == {"kind": "max", "size": 3, "stride": None}
    assert block.normalisation.momentum == 0.5
