"""A network's file is enough to use the network."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dbn.data import DataSet, digits, load_data
from dbn.errors import ModelFileError, SettingError
from dbn.models.model_file import read_model, write_model
from finetune.networks.meaning import Meaning
from finetune.networks.network import Network
from finetune.networks.network_file import FORMAT, FORMAT_1, KEY


def known(network: Network, data: DataSet, task: str = "classifier", outputs: str = "logits") -> Network:
    network.meaning = Meaning(data.scaling, task, outputs, data.classes if task == "classifier" else ())
    return network


@pytest.mark.parametrize("standardise", [False, True])
def test_it_comes_back_bit_for_bit(standardise: bool, tmp_path: Path) -> None:
    data = load_data(digits(), standardise=standardise)
    network = Network.dense([64, 20, 12, 10], activation="relu", dropout_input=0.1, dropout_hidden=0.3).eval()
    known(network, data).save(tmp_path / "network.safetensors")
    for path in (tmp_path / "network.safetensors", tmp_path):
        found = Network.load(path)
        assert torch.equal(found(found.known_meaning.scaling.features(data.test.take(torch.arange(360)).pixels)),
                           network(data.test.features()))  # fmt: skip
        assert (found.known_meaning.task, found.known_meaning.classes) == ("classifier", tuple("0123456789"))
        assert [block.dropout.probability for block in found.blocks] == [0.1, 0.3, 0.3]
        assert [block.activation for block in found.blocks] == ["relu", "relu", "identity"]


@pytest.mark.parametrize("normalisation", ["batch", {"kind": "batch", "momentum": 0.5, "epsilon": 0.01}, "layer"])
def test_normalisation_comes_back_with_its_running_averages(normalisation: Any, tmp_path: Path) -> None:
    data = load_data(digits())
    network = Network.dense([64, 20, 12, 10], activation="relu", normalisation=normalisation)
    features = data.test.features()
    network(features)  # in training: running averages move
    network.eval()
    known(network, data).save(tmp_path / "network.safetensors")
    found = Network.load(tmp_path)
    assert torch.equal(found(features), network(features))
    assert [str(block.normalisation) for block in found.blocks] == [str(b.normalisation) for b in network.blocks]
    found.train()
    network.train()
    assert torch.equal(found(features), network(features))
    assert torch.equal(found.eval()(features), network.eval()(features)), "another momentum"


@pytest.mark.parametrize("task", ["classifier", "autoencoder"])
def test_a_file_of_format_1_is_read_as_it_was(task: str, tmp_path: Path) -> None:
    """Its first version does not mention normalisation, none the kind of the outputs."""
    data, network = load_data(digits()), Network.dense([64, 10])
    known(network, data, task, "pixel_logits" if task == "autoencoder" else "logits").save(tmp_path / "new.safetensors")
    header, tensors = read_model(tmp_path / "new.safetensors", KEY, "a network", (FORMAT,), "")
    header["format"] = FORMAT_1
    del header["outputs"]
    for block in header["blocks"]:
        del block["normalisation"]
    write_model(tmp_path / "old.safetensors", KEY, header, tensors)
    found = Network.load(tmp_path / "old.safetensors")
    assert torch.equal(found.layers[0].weight, network.layers[0].weight)
    assert found.known_meaning.outputs == network.known_meaning.outputs


def test_an_autoencoder_keeps_its_code(tmp_path: Path) -> None:
    data = load_data(digits())
    known(Network.dense([64, 20, 5, 20, 64], code=2), data, "autoencoder", "pixel_logits").save(tmp_path / "a")
    found = Network.load(tmp_path / "a")
    assert found.code == 2
    assert [block.activation for block in found.blocks] == ["sigmoid", "identity", "sigmoid", "identity"]


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such network"):
        Network.load(tmp_path / "nothing.safetensors")
    with pytest.raises(ModelFileError, match="no such network"):
        Network.load(tmp_path)
    save_file({"weight": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ModelFileError, match="not a network"):
        Network.load(tmp_path / "foreign.safetensors")
    known(Network.dense([64, 10]), load_data(digits())).save(tmp_path / "network.safetensors")
    content = (tmp_path / "network.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[:-100])
    with pytest.raises(ModelFileError, match="cut short"):
        Network.load(tmp_path / "cut.safetensors")
    header, tensors = read_model(tmp_path / "network.safetensors", KEY, "a network", (FORMAT,), "")
    for spoilt in ({"task": "poetry", "outputs": None}, {"outputs": "poems"}, {"blocks": []}, {"classes": None}):
        write_model(tmp_path / "spoilt.safetensors", KEY, {**header, **spoilt}, tensors)
        with pytest.raises(ModelFileError, match="spoilt"):
            Network.load(tmp_path / "spoilt.safetensors")


def test_a_network_without_meaning_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"network\.meaning"):
        Network.dense([64, 10]).save(tmp_path / "network.safetensors")
    with pytest.raises(SettingError, match=r"network\.meaning"):
        Network.dense([64, 10]).predict(torch.zeros(3, 64))
