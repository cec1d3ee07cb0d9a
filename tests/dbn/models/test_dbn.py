"""The stack: passes, sampling, and the DBN file."""

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dbn import DBN, RBM
from dbn.errors import ModelFileError, SettingError
from dbn.models.units import Bernoulli, Gaussian
from helpers import make_rbm


def make_stack() -> DBN:
    """6-5-4-2, the top layer real."""
    return DBN(
        [make_rbm(n_visible=6, n_hidden=5), make_rbm(n_visible=5, n_hidden=4), make_rbm("bernoulli", "gaussian", 4, 2)]
    )


def test_up_and_down_are_the_layers_means_one_after_the_other() -> None:
    stack = make_stack()
    v = torch.rand(3, 6, dtype=torch.float64)
    h1 = torch.sigmoid(v @ stack[0].weight + stack[0].hidden.bias)
    h2 = torch.sigmoid(h1 @ stack[1].weight + stack[1].hidden.bias)
    code = h2 @ stack[2].weight + stack[2].hidden.bias
    for layers, expected in enumerate((v, h1, h2, code)):
        torch.testing.assert_close(stack.up(v, layers), expected, rtol=0, atol=1e-14)
    d2 = torch.sigmoid(code @ stack[2].weight.T + stack[2].visible.bias)
    d1 = torch.sigmoid(d2 @ stack[1].weight.T + stack[1].visible.bias)
    d0 = torch.sigmoid(d1 @ stack[0].weight.T + stack[0].visible.bias)
    torch.testing.assert_close(stack.reconstruct(v), d0, rtol=0, atol=1e-14)


def test_samples_of_a_single_rbm_have_the_exact_marginals() -> None:
    """Visible means of 20000 chains average to the exact probabilities, within five standard errors."""
    rbm = make_rbm(n_visible=5, n_hidden=4)
    n = 20_000
    samples = DBN([rbm]).sample(n, steps=50, generator=torch.Generator().manual_seed(8))
    states = rbm.visible.states()
    expected = torch.softmax(-rbm.free_energy(states), 0) @ states
    assert ((samples.mean(0) - expected).abs() < 5 * 0.5 / n**0.5).all()


def test_layers_that_are_not_there_are_refused_by_the_name_of_the_argument() -> None:
    """Which on the command line is the setting's: dbn-features layer=9."""
    v = torch.rand(3, 6, dtype=torch.float64)
    with pytest.raises(SettingError, match=r"^layers=4: it must be a whole number from 0 to 3"):
        make_stack().up(v, 4)
    with pytest.raises(SettingError, match=r"^layer=4: it must be a whole number from 0 to 3"):
        make_stack().transform(v, 4, features=True)


def test_the_header_is_that_of_a_run_too(tmp_path: Path) -> None:
    make_stack().save(tmp_path / "dbn.safetensors", {"data": "digits"})
    assert DBN.describe(tmp_path) == DBN.describe(tmp_path / "dbn.safetensors")


def test_neighbours_that_do_not_match_are_refused() -> None:
    with pytest.raises(SettingError, match=r"RBM 1 has 5 bernoulli .* RBM 2 has 4 bernoulli"):
        DBN([RBM(Bernoulli(6), Bernoulli(5)), RBM(Bernoulli(4), Bernoulli(3))])
    with pytest.raises(SettingError, match="gaussian visible"):
        DBN([RBM(Bernoulli(6), Bernoulli(5)), RBM(Gaussian(5), Bernoulli(3))])
    with pytest.raises(SettingError, match="at least one"):
        DBN([])


def test_a_saved_stack_comes_back_bit_for_bit(tmp_path: Path) -> None:
    stack = make_stack()
    stack.save(tmp_path / "dbn.safetensors", {"data": "digits"})
    loaded = DBN.load(tmp_path / "dbn.safetensors")
    assert [type(rbm.hidden) for rbm in loaded.layers] == [Bernoulli, Bernoulli, Gaussian]
    for name, tensor in stack.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert DBN.describe(tmp_path / "dbn.safetensors")["description"] == {"data": "digits"}
    assert [path.name for path in tmp_path.iterdir()] == ["dbn.safetensors"]  # nothing else is left lying about


def test_a_failed_save_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "dbn.safetensors"
    make_stack().save(path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        make_stack().save(path, {"not": {"plain": object()}})
    assert path.read_bytes() == before


def test_missing_truncated_foreign_and_lying_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="there is no such"):
        DBN.load(tmp_path / "nothing.safetensors")
    whole = tmp_path / "dbn.safetensors"
    make_stack().save(whole)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match="cut short"):
        DBN.load(cut)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(2)}, foreign)
    with pytest.raises(ModelFileError, match="not a DBN"):
        DBN.load(foreign)
    content = whole.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    inner = json.loads(header["__metadata__"]["dbn"])
    inner["layers"][0]["hidden_shape"] = [7]
    header["__metadata__"]["dbn"] = json.dumps(inner)
    lying = json.dumps(header).encode()
    (tmp_path / "lying.safetensors").write_bytes(struct.pack("<Q", len(lying)) + lying + content[8 + length :])
    with pytest.raises(ModelFileError, match="does not fit"):
        DBN.load(tmp_path / "lying.safetensors")
