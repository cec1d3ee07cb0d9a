"""Runs of convolutional networks: from a stack, of blocks of their own, several seeds together, what they leave."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from dbn.data.blocks import Block
from dbn.data.from_config import data_of
from dbn.errors import SettingError
from dbn.models.dbn import DBN
from dbn.models.pooling import MaxPooling, ProbabilisticMaxPooling
from dbn.pretraining.stack_run import pretraining_config, pretraining_directory
from dbn.runs.identity import run_identity
from finetune import Network
from finetune.networks.network_file import NETWORK_FILE
from finetune.runs.description import describe
from finetune.runs.network_run import finetune, finetune_seeds, finetuning_directory
from finetune.runs.starting_networks import build_network, starting_points
from finetune.tasks import FineTuning
from helpers import Composer

LAYERS = (
    "stack.layers=[{kind:convolution,maps:6,kernel:3,padding:1,pool:2},{kind:convolution,maps:5,kernel:3,padding:1},8]"
)
SHORT = ["stack.every_layer.epochs=1", "training.epochs=2", "data.n_labelled=100", "stack=convolutional", LAYERS]
BLOCKS = (
    "network.blocks=[{kind:convolution,maps:4,kernel:3,padding:1,normalisation:response,pool:{kind:max,size:3,stride:2}},"
    "{kind:convolution,maps:5,kernel:2},{n_hidden:12,dropout:0.5}]"
)
OWN = ["start=random_relu", "training.epochs=2", "data.n_labelled=100", "network.name=mine", BLOCKS]


@pytest.mark.parametrize("arm", ["conv_dbn", "conv_dbn_relu", "conv_dbn_relu_batchnorm", "conv_dbn_relu_dropout"])
def test_a_network_starts_as_its_stack_at_every_layer(arm: str, compose: Composer) -> None:
    config = compose("finetune", [f"arm={arm}", *SHORT])
    data = data_of(config)
    (start,) = starting_points([config], data, [data.train])
    stack = DBN.load(pretraining_directory(pretraining_config(config)))
    x = data.test.sample(50)
    tolerance = 2e-5 if "batchnorm" in arm else 1e-6
    outputs = start.network.eval().hidden(x)
    assert [own.shape[1] for own in outputs[:-1]] == stack.sizes[1:]
    for layer, own in enumerate(outputs[:-1], start=1):
        scale = float(own.detach().abs().max())
        assert scale > 0
        torch.testing.assert_close(own, stack.up(x, layer), rtol=0, atol=tolerance * max(1.0, scale))


@pytest.mark.parametrize(
    ("arm", "kind"), [("conv_random_sigmoid", ProbabilisticMaxPooling), ("conv_random_relu", MaxPooling)]
)
def test_a_random_network_is_the_one_that_its_pretrained_twin_trains(arm: str, kind: type, compose: Composer) -> None:
    random = compose("finetune", [f"arm={arm}", *SHORT])
    pretrained = compose("finetune", [f"arm={arm.replace('random_sigmoid', 'dbn').replace('random', 'dbn')}", *SHORT])
    data = data_of(random)
    networks = [starting_points([config], data)[0].network for config in (random, pretrained)]
    assert str(networks[0]) == str(networks[1]), "same layers, pooling, activations"
    assert isinstance(networks[0].blocks[0].pooling, kind)


@pytest.mark.parametrize(
    "arm", ["conv_dbn_relu", "conv_random_relu_dropout", "conv_random_relu_batchnorm", "conv_dbn_augment"]
)
def test_seeds_that_train_together_train_as_alone(arm: str, compose: Composer) -> None:
    options = [f"arm={arm}", *SHORT, "training.max_norm=1.5", "training.label_smoothing=0.1"]
    together = finetune_seeds(compose("finetune", [*options, "n_parallel_seeds=3", "study=together"]))
    assert [result["seed"] for result in together] == [0, 1, 2]
    assert len({result["metrics"]["test/nll"] for result in together}) == 3
    alone = finetune(compose("finetune", [*options, "seed=1", "study=alone"]))
    own, other = (Network.load(finetuning_directory(result["config"])).state_dict() for result in (alone, together[1]))
    for name, tensor in own.items():
        torch.testing.assert_close(other[name], tensor, rtol=0, atol=2e-5 * max(1.0, float(tensor.abs().max())))


@pytest.mark.parametrize(
    "options",
    [["arm=conv_dbn_relu_batchnorm_augment", *SHORT], [*OWN, "dropout=hidden", "n_parallel_seeds=2"]],
    ids=["from_stack", "own"],
)
def test_interrupted_runs_end_with_the_same_bits(
    options: list[str], compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Running averages, dropout, augmentation, and the momentum of filters go on where they were."""
    whole = finetune_seeds(compose("finetune", [*options, "training.epochs=3", "study=whole"]))
    config = compose("finetune", [*options, "training.epochs=3", "study=interrupted", "checkpoint_seconds=0"])
    begin = FineTuning.begin_block

    def stop(self: FineTuning, block: Block) -> Block:
        if self.current_epoch == 2:
            raise KeyboardInterrupt
        return begin(self, block)

    with monkeypatch.context() as patch:
        patch.setattr(FineTuning, "begin_block", stop)
        with pytest.raises(KeyboardInterrupt):
            finetune_seeds(config)
    for result, other in zip(whole, finetune_seeds(config), strict=True):
        assert other["metrics"] == result["metrics"]
        files = [(finetuning_directory(own["config"]) / NETWORK_FILE).read_bytes() for own in (result, other)]
        assert files[0] == files[1]


@pytest.mark.parametrize("source", ["init.stack", "init.run"])
def test_filters_are_not_moved_over_images_of_other_sides(source: str, compose: Composer, tmp_path: Path) -> None:
    """As many pixels are not enough: 8x8 and 4x16."""
    config = compose("finetune", ["arm=conv_dbn", *SHORT])
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (60, 4, 16), dtype=np.uint8), np.arange(60) % 10
    np.savez(tmp_path / "wide.npz", images=images, labels=labels)
    if source == "init.stack":
        starting_points([config], data_of(config))
        file = pretraining_directory(pretraining_config(config)) / "dbn.safetensors"
        arm = ["arm=conv_dbn", "stack=convolutional", LAYERS]
    else:
        finetune(config)
        file, arm = finetuning_directory(config), ["start=earlier_run"]
    other = compose("finetune", [*arm, f"{source}={file}", "data=npz", f"data.path={tmp_path / 'wide.npz'}"])
    with pytest.raises(SettingError, match=r"images have 4x16 pixels.*trained on 8x8"):
        starting_points([other], data_of(other))


def test_blocks_without_a_name_are_not_called_those_of_a_stack(compose: Composer) -> None:
    config = compose("finetune", ["start=random_relu", BLOCKS])
    assert config["arm"]["name"] == "blocks_random_relu"


def test_an_autoencoder_of_a_convolutional_stack_is_refused_before_anything_is_trained(compose: Composer) -> None:
    config = compose("finetune", ["task=autoencoder", *SHORT[:2], *SHORT[3:]])
    with pytest.raises(SettingError, match=r"task=autoencoder: a convolutional layer has no decoder"):
        finetune(config)
    assert not list(Path().rglob("*.safetensors"))


def test_blocks_of_ones_own_train_and_have_nothing_to_do_with_the_stack(compose: Composer) -> None:
    first = compose("finetune", [*OWN, "study=first"])
    other = compose("finetune", [*OWN, "study=other", "stack.layers=[7]", "stack.every_layer.hidden=relu",
                                 "sampler.steps=3", "method=pca"])  # fmt: skip
    assert first["arm"]["name"] == "mine_random_relu"
    results = [finetune(config) for config in (first, other)]
    assert results[0]["metrics"] == results[1]["metrics"]
    assert results[0]["sizes"] == [64, 36, 20, 12, 10]
    assert results[0]["kind"] == "random"
    assert not (Path("runs") / "first" / "pretrain").exists()
    identities = [run_identity({**config, "study": ""}) for config in (first, other)]
    assert identities[0] == identities[1]
    changed = compose("finetune", [*OWN, "study=first", BLOCKS.replace("maps:5", "maps:6")])
    assert run_identity(changed) != run_identity(first)


def test_the_identity_of_a_run_of_before_there_were_blocks_is_the_same(compose: Composer) -> None:
    config = compose("finetune", ["arm=random_relu"])
    old = {key: value for key, value in config["network"].items() if key not in ("name", "blocks")}
    assert run_identity({**config, "network": old}) == run_identity(config)


def test_dropout_of_a_block_is_of_its_own_units(compose: Composer) -> None:
    config = compose("finetune", [*OWN, "dropout=hidden"])
    network = build_network(data_of(config), config, [])
    assert [block.dropout.probability for block in network.blocks] == [0.1, 0.2, 0.2, 0.5]


def test_a_blocks_own_normalisation_stands_and_the_networks_is_that_of_the_others(compose: Composer) -> None:
    config = compose("finetune", [*OWN, "normalisation=batch"])
    network = build_network(data_of(config), config, [])
    kinds = [None if block.normalisation is None else block.normalisation.kind for block in network.blocks]
    assert kinds == ["response", "batch", "batch", None]


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("lenet", [(28, 28, 1), (14, 14, 6), (5, 5, 16), (120,), (84,), (10,)]),
        (
            "alexnet_small",
            [(28, 28, 1), (13, 13, 24), (6, 6, 64), (6, 6, 96), (6, 6, 96), (2, 2, 64), (512,), (512,), (10,)],
        ),
    ],
)
def test_the_named_networks(name: str, shapes: list[tuple[int, ...]], compose: Composer) -> None:
    config = compose("finetune", [f"network={name}", "start=random_relu", "data=mnist"])
    assert config["arm"]["name"] == f"{name}_random_relu"
    network = describe({**config, "sizes": None})
    assert network.shapes == shapes
    assert {block.activation for block in network.blocks[:-1]} == {"relu"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["network=lenet", "start=dbn"], r"network=lenet: .*network=from_stack"),
        (["network=lenet", "start=random_relu"], r"network.blocks\[2\].*its inputs are 4x4x6.*kernel=5"),
        (["network=alexnet_small", "start=random_relu"], r"network.blocks\[5\].*1x1x96.*pool=3"),
        (["start=random_relu", "network.blocks=[20,{kind:convolution,maps:2,kernel:3}]"], r"network.blocks\[2\].*20"),
        (["start=random_relu", "network.blocks=[{kind:convolution,maps:2}]"], r"network.blocks\[1\].kernel.*missing"),
        (["start=random_relu", "network.blocks=[{kind:convolution,maps:2,kernel:0}]"], r"blocks\[1\].kernel=0"),
        (["start=random_relu", "network.blocks=[{n_hidden:20,pool:2}]"], r"network.blocks\[1\].pool: no such setting"),
        (["start=random_relu", "network.blocks=[{kind:convolutional,maps:2}]"], r"blocks\[1\].kind.*convolution"),
        (["start=random_relu", "network.blocks=[{n_hidden:20,normalisation:response}]"], r"blocks\[1\].*convolutional"),
        (["start=random_relu", "network.blocks=[]"], r"network.blocks=\[\]"),
        (["start=random_relu", "network.blocks=[10000000000000]"], r"network.blocks\[1\].*memory"),
        (["network=lenet", "task=autoencoder", "start=random_relu"], r"task=autoencoder: network=lenet"),
        (["start=random_relu", "network.normalisation=response"], r"network.normalisation=response.*no convolutional"),
        (["network=lenet", "start=random_relu", "data=wine"], r"network.blocks\[1\].*pictures"),
    ],
)
def test_networks_that_cannot_be_made(options: list[str], words: str, compose: Composer) -> None:
    with pytest.raises(SettingError, match=words):
        finetune(compose("finetune", ["training.epochs=1", "data.n_labelled=50", *options]))
    assert not list(Path().rglob("*.safetensors"))


def test_pictures_are_filters_as_small_pictures_and_features_of_higher_layers(compose: Composer) -> None:
    config = compose("finetune", ["arm=conv_random_relu", *SHORT, "features=4"])
    finetune(config)
    directory = finetuning_directory(config)
    pictures = np.load(directory / "pictures.npz")
    weight = Network.load(directory).layers[0].weight.detach().numpy()
    np.testing.assert_array_equal(pictures["filters"], weight)
    assert pictures["filters"].shape == (6, 1, 3, 3)
    for when in ("start", "end"):
        for kind in ("maximised", "combined"):
            assert pictures[f"features_{kind}_layer2_{when}"].shape == (4, 1, 8, 8)
            assert pictures[f"features_{kind}_layer3_{when}"].shape == (4, 1, 8, 8)
            assert pictures[f"features_{kind}_output_{when}"].shape == (10, 1, 8, 8)


def test_bfloat16_trains_and_auto_says_why_it_does_not(compose: Composer) -> None:
    options = ["arm=conv_random_relu", *SHORT]
    rounded = finetune(compose("finetune", [*options, "precision=bf16", "study=bf16"]))
    exact = finetune(compose("finetune", [*options, "precision=float32", "study=float32"]))
    automatic = finetune(compose("finetune", [*options, "study=auto"]))
    assert rounded["metrics"]["train/nll"] != exact["metrics"]["train/nll"]
    assert abs(rounded["metrics"]["train/nll"] - exact["metrics"]["train/nll"]) < 0.1
    assert set(rounded["precision"]) == {"bf16"}
    convolutions = automatic["precision_decided_by"][:2]
    assert set(automatic["precision"][:2]) == {"float32"}
    assert all("no line for" in said for said in convolutions), "nobody has measured convolutions"


@pytest.mark.parametrize("options", [["arm=conv_dbn", *SHORT], OWN], ids=["from_stack", "own"])
def test_commands_of_use(options: list[str], compose: Composer) -> None:
    """dbn-predict and dbn-features in processes of their own; exported files, against the network's own outputs."""
    config = compose("finetune", options)
    finetune(config)
    directory = finetuning_directory(config)
    network, data = Network.load(directory), data_of(config)
    for module, given in (
        ("predict", ["output=predicted.csv"]),
        ("features", ["output=features.npy", "layer=1"]),
        ("export.command", ["format=torch_export", "output=network.pt2"]),
        ("export.command", ["format=onnx", "output=by_onnx.onnx"]),
    ):
        command = [sys.executable, "-m", f"finetune.{module}", f"run={directory}", *given]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    features = np.load("features.npy")
    assert features.shape[1] == network.sizes[1]
    images = data.test.sample(20).reshape(-1, 1, 8, 8) * network.known_meaning.scaling.value_of_one
    expected = network.predict_proba(images)
    program = torch.export.load("network.pt2").module()
    torch.testing.assert_close(program(images), expected, rtol=0, atol=2e-6)
    session = onnxruntime.InferenceSession("by_onnx.onnx", providers=["CPUExecutionProvider"])
    found = session.run(None, {"images": images.numpy()})[0]
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=2e-6)
    assert (directory / NETWORK_FILE).is_file()
