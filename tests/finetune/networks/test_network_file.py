"""A network's file is enough to use the network."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dbn.data import digits, load_data
from dbn.errors import ModelFileError
from dbn.models.model_file import read_model, write_model
from finetune.networks.network import Network
from finetune.networks.network_file import FORMAT, KEY, read_network, write_network


@pytest.mark.parametrize("standardise", [False, True])
def test_it_comes_back_bit_for_bit(standardise: bool, tmp_path: Path) -> None:
    data = load_data(digits(), standardise=standardise)
    network = Network.dense([64, 20, 12, 10], activation="relu", dropout_input=0.1, dropout_hidden=0.3).eval()
    write_network(tmp_path / "network.safetensors", network, data.scaling, task="classifier", classes=data.classes)
    found = read_network(tmp_path / "network.safetensors")
    expected = network(data.test.features())
    assert torch.equal(found.network(found.scaling.features(data.test.pixels)), expected)
    assert (found.task, found.classes) == ("classifier", tuple("0123456789"))
    assert [block.dropout.probability for block in found.network.blocks] == [0.1, 0.3, 0.3]
    assert [block.activation for block in found.network.blocks] == ["relu", "relu", "identity"]


@pytest.mark.parametrize("normalisation", ["batch", {"kind": "batch", "momentum": 0.5, "epsilon": 0.01}, "layer"])
def test_normalisation_comes_back_with_its_running_averages(normalisation: Any, tmp_path: Path) -> None:
    data = load_data(digits())
    network = Network.dense([64, 20, 12, 10], activation="relu", normalisation=normalisation)
    features = data.test.features()
    network(features)  # in training: running averages move
    network.eval()
    write_network(tmp_path / "network.safetensors", network, data.scaling, task="classifier", classes=data.classes)
    found = read_network(tmp_path / "network.safetensors").network
    assert torch.equal(found(features), network(features))
    assert [str(block.normalisation) for block in found.blocks] == [str(b.normalisation) for b in network.blocks]
    found.train()
    network.train()
    assert torch.equal(found(features), network(features))
    assert torch.equal(found.eval()(features), network.eval()(features)), "another momentum"


def test_a_file_without_normalisation_is_read_as_it_was(tmp_path: Path) -> None:
    """Files of versions before there was any do not mention it."""
    data, network = load_data(digits()), Network.dense([64, 10])
    write_network(tmp_path / "network.safetensors", network, data.scaling, task="classifier", classes=data.classes)
    header, tensors = read_model(tmp_path / "network.safetensors", KEY, "a network", (FORMAT,), "")
    for block in header["blocks"]:
        del block["normalisation"]
    write_model(tmp_path / "old.safetensors", KEY, header, tensors)
    assert torch.equal(read_network(tmp_path / "old.safetensors").network.layers[0].weight, network.layers[0].weight)


def test_an_autoencoder_keeps_its_code(tmp_path: Path) -> None:
    data = load_data(digits())
    network = Network.dense([64, 20, 5, 20, 64], code=2).eval()
    write_network(tmp_path / "network.safetensors", network, data.scaling, task="autoencoder", classes=())
    found = read_network(tmp_path / "network.safetensors")
    assert found.network.code == 2
    assert [block.activation for block in found.network.blocks] == ["sigmoid", "identity", "sigmoid", "identity"]


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such network"):
        read_network(tmp_path / "nothing.safetensors")
    save_file({"weight": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ModelFileError, match="not a network"):
        read_network(tmp_path / "foreign.safetensors")
    network, data = Network.dense([64, 10]), load_data(digits())
    write_network(tmp_path / "network.safetensors", network, data.scaling, task="classifier", classes=data.classes)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes((tmp_path / "network.safetensors").read_bytes()[:-100])
    with pytest.raises(ModelFileError, match="cut short"):
        read_network(cut)
