"""Model files keep what a stack needs to be used elsewhere, and files of the format before are read."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dbn import DBN, RBM, Bernoulli, Gaussian
from dbn.data import DataSet, digits, load_data
from dbn.errors import ModelFileError
from dbn.random.streams import stream


def some_stack() -> DBN:
    """6-5-3 with a real code, biases away from zero."""
    layers = [RBM(Bernoulli(6), Bernoulli(5)), RBM(Bernoulli(5), Gaussian(3))]
    for rbm in layers:
        torch.nn.init.normal_(rbm.hidden.bias, generator=stream(0, "bias"))
        torch.nn.init.normal_(rbm.visible.bias, generator=stream(1, "bias"))
    return DBN(layers)


def test_format_1_is_read(tmp_path: Path) -> None:
    """As the version before wrote it: sizes, kinds, tensors called rbms.<k>.weight."""
    stack, tensors = some_stack(), {}
    for k, rbm in enumerate(stack.layers):
        tensors |= {
            f"rbms.{k}.weight": rbm.weight.detach(),
            f"rbms.{k}.visible.bias": rbm.visible.bias.detach(),
            f"rbms.{k}.hidden.bias": rbm.hidden.bias.detach(),
        }
    kinds = [{"visible": "bernoulli", "hidden": "bernoulli"}, {"visible": "bernoulli", "hidden": "gaussian"}]
    header = {"format": "layerwise-dbn/1", "sizes": [6, 5, 3], "layers": kinds, "description": {"data": "digits"}}
    save_file(tensors, tmp_path / "old.safetensors", metadata={"dbn": json.dumps(header)})
    loaded = DBN.load(tmp_path / "old.safetensors")
    v = torch.rand(4, 6)
    assert torch.equal(loaded.up(v), stack.up(v))
    assert torch.equal(loaded.reconstruct(v), stack.reconstruct(v))
    assert loaded.scaling is None
    assert DBN.describe(tmp_path / "old.safetensors")["description"] == {"data": "digits"}


@pytest.mark.parametrize("standardise", [False, True])
def test_a_stack_is_used_without_its_training_data(standardise: bool, tmp_path: Path) -> None:
    """Stored pixels go in, pictures come out, by what the file says alone."""
    data = load_data(digits(), standardise=standardise)
    kind = Gaussian if standardise else Bernoulli
    stack = DBN([RBM(kind(data.shape), Bernoulli(20))], data.scaling)
    stack.save(tmp_path / "dbn.safetensors")
    loaded = DBN.load(tmp_path / "dbn.safetensors")
    assert loaded.scaling is not None
    assert loaded[0].input_shape == (1, 8, 8)
    features = loaded.scaling.features(data.test.pixels.view(-1, 1, 8, 8))
    assert torch.equal(features, data.test.features())
    pictures = loaded.scaling.to_pixels(features)
    torch.testing.assert_close(pictures, data.test.pixels.view(-1, 1, 8, 8) / 16, rtol=0, atol=1e-5)
    assert not torch.equal(loaded.up(features), torch.zeros_like(loaded.up(features)))


def test_what_pretraining_writes_has_the_scaling(digits_data: DataSet, tmp_path: Path) -> None:
    from dbn.pretraining import LayerSettings, pretrain_stack

    stack = pretrain_stack(digits_data, [LayerSettings(n_hidden=5, epochs=1)], progress=False)
    stack.save(tmp_path / "dbn.safetensors")
    header = DBN.describe(tmp_path / "dbn.safetensors")
    assert header["inputs"] == {"shape": [1, 8, 8], "maximum": 16.0, "standardised": False}
    assert header["layers"][0]["connection"] == "dense"


@pytest.mark.parametrize("damage", ["a layer less", "a type that is not there", "an option that is not there"])
def test_a_header_that_lies_is_refused(damage: str, tmp_path: Path) -> None:
    stack = some_stack()
    stack.save(tmp_path / "dbn.safetensors")
    header = DBN.describe(tmp_path / "dbn.safetensors")
    if damage == "a layer less":
        del header["layers"][1]
    elif damage == "a type that is not there":
        header["layers"][0]["hidden"] = "os.system"
    else:
        header["layers"][0]["hidden"] = {"kind": "bernoulli", "path": "/"}
    tensors = {f"layers.{name}": tensor for name, tensor in stack.layers.state_dict().items()}
    save_file(tensors, tmp_path / "lying.safetensors", metadata={"dbn": json.dumps(header)})
    with pytest.raises(ModelFileError, match=r"lying\.safetensors: "):
        DBN.load(tmp_path / "lying.safetensors")
