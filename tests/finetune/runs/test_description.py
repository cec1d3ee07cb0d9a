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
