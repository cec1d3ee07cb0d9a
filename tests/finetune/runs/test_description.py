"""The textbook's networks come out with its numbers of weights."""

import pytest

from dbn.errors import SettingError
from finetune.runs.description import describe, show
from helpers import Composer


@pytest.mark.parametrize(("sizes", "weights", "biases"), [([3, 2, 2, 3], 16, 7), ([3, 4, 3, 3], 33, 10)])
def test_the_textbooks_networks(sizes: list[int], weights: int, biases: int, compose: Composer) -> None:
    found = describe(compose("describe", [f"sizes={sizes}"]))
    assert sum(layer.weight.numel() for layer in found.layers) == weights
    assert sum(layer.bias.numel() for layer in found.layers) == biases
    assert found.sizes == sizes


def test_the_network_that_would_be_trained(compose: Composer, capsys) -> None:
    found = describe(compose("describe", ["arm=dbn_dropout", "stack.layers=[30,20]"]))
    assert found.sizes == [64, 30, 20, 10]
    assert [block.activation for block in found.blocks] == ["sigmoid", "sigmoid", "identity"]
    assert [block.dropout.probability for block in found.blocks] == [0.1, 0.2, 0.2]
    show(found)
    printed = capsys.readouterr().out
    assert "2,720 weights, 60 biases, 2,780 parameters" in printed
    assert "5,440 operations for an image, 12,480 to train on it once" in printed  # 6 w less 2 of the first layer


def test_normalisation_is_described_with_its_scales_and_shifts(compose: Composer, capsys) -> None:
    show(describe(compose("describe", ["arm=random_relu_batchnorm", "stack.layers=[30,20]"])))
    printed = capsys.readouterr().out
    assert "2,720 weights, 60 biases, 100 scales and shifts, 2,880 parameters" in printed
    words = [line.replace("│", " ").split() for line in printed.splitlines()]
    rows = {line[0]: line for line in words if line and line[0] in ("hidden", "output")}
    assert "batch" in rows["hidden"]
    assert "none" in rows["output"]


def test_an_autoencoder_is_described_with_its_decoder(compose: Composer) -> None:
    layers = "stack.layers=[30,{n_hidden:5,hidden:gaussian}]"
    found = describe(compose("describe", ["task=autoencoder", layers]))
    assert found.sizes == [64, 30, 5, 30, 64]
    assert found.blocks[1].activation == "identity"


@pytest.mark.parametrize("sizes", ["3", "[3]", "[3,0]", "[3,x]"])
def test_what_is_no_network(sizes: str, compose: Composer) -> None:
    with pytest.raises(SettingError, match="sizes="):
        describe(compose("describe", [f"sizes={sizes}"]))


def test_a_convolutional_network_is_described_with_maps_filters_and_pooling(compose: Composer, capsys) -> None:
    blocks = "network.blocks=[{kind:convolution,maps:4,kernel:3,stride:2,padding:1,pool:{kind:max,size:3,stride:1}},12]"
    show(describe(compose("describe", ["start=random_relu", blocks])))
    printed = capsys.readouterr().out
    assert "8x8x1-2x2x4-12-10" in printed
    lines = [line.replace("│", " ") for line in printed.splitlines()]
    sizes, parts = (line.split() for line in lines if line.split()[:2] == ["hidden", "1"])
    assert sizes[2:] == ["convolution", "8x8x1", "4x4x4", "36", "4", "576"]  # 3x3 filters at 16 places of 4 maps
    assert {"3x3,", "max", "relu"} <= {*parts}
    assert {"stride", "2,", "padding", "1"} <= set(" ".join(lines).split())
    assert "max 3x3, stride 1" in printed
    weights = 36 + 16 * 12 + 12 * 10
    assert f"{weights:,} weights, 26 biases, {weights + 26:,} parameters" in printed
    forward = 2 * (576 + 16 * 12 + 120)
    assert f"{forward:,} operations for an image, {3 * forward - 2 * 576:,} to train on it once" in printed
