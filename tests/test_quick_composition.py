"""Quick compositions are Hydra's."""

from typing import Any

import hydra
import pytest
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from dbn.commands.configuration import config_directory
from quick_composition import compose_quickly

JOBS = [
    ["arm=dbn", "seed=3"],
    ["arm=random_relu_dropout", "training.epochs=7", "optimizer.weight_decay=0.001"],
    ["arm=random_relu_dropout", "training.epochs=9", "+search.trial=1", "labels=n100"],
    ["experiment=mnist_2006", "arm=random_relu", "seed=1"],
    ["sweep=tune", "arm=dbn_relu_augment_both", "stack.layers=[9,{n_hidden:3}]", "~report"],
    ["sweep=compute", "hydra.sweeper.times=[1,3]", "study=mine"],
    ["experiment=label_efficiency", "labels=n1000", "arm=random_relu", "data.root=/nowhere"],
]


def composed(job: list[str]) -> dict[str, Any]:
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        config = hydra.compose("finetune", job, return_hydra_config=True)
    found = OmegaConf.to_container(config, resolve=False)
    assert isinstance(found, dict)
    return found


def test_they_are_those_of_hydra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when asked twice, in another order, and when a copy was changed."""
    expected = [composed(job) for job in JOBS]
    compose_quickly(monkeypatch)
    assert [composed(job) for job in JOBS] == expected
    composed(JOBS[0])["training"]["epochs"] = -1
    assert [composed(job) for job in reversed(JOBS)] == expected[::-1]


@pytest.mark.parametrize("job", [["arm=nosuch"], ["training.nosuch=3"], ["nosuch=3"], ["~nosuch"], ["labels@x=n100"]])
def test_what_hydra_refuses_is_refused(job: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigCompositionException) as expected:
        composed(job)
    compose_quickly(monkeypatch)
    composed(["arm=dbn"])
    with pytest.raises(ConfigCompositionException) as found:
        composed(job)
    assert str(found.value) == str(expected.value)
