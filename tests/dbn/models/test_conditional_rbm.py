"""Conditional RBMs: exact distributions given side information, against sums over all states and against RBMs."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from dbn import DBN, RBM, Bernoulli
from dbn.errors import DataError, SettingError
from dbn.likelihood import Enumeration, log_likelihood
from dbn.models.class_rbm import stack_given_label
from dbn.models.conditional_rbm import ConditionalRBM
from dbn.models.units import ReplicatedSoftmax
from helpers import make_rbm


def made(visible: str = "bernoulli", hidden: str = "bernoulli", seed: int = 0) -> ConditionalRBM:
    """A float64 model of 5 x 4 units and 3 conditions, all of whose parameters are away from zero."""
    rbm = make_rbm(visible, hidden)
    model = ConditionalRBM(rbm.visible, rbm.hidden, 3, rbm.connection).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in (model.visible_weight, model.hidden_weight):
            weight.copy_(0.7 * torch.randn(weight.shape, generator=generator, dtype=torch.float64))
    return model


def shifted(model: ConditionalRBM, u: Tensor) -> RBM:
    """The RBM of binary units whose biases are ``b + u A`` and ``c + u B``."""
    rbm = RBM(Bernoulli(5), Bernoulli(4)).double()
    with torch.no_grad():
        rbm.weight.copy_(model.weight)
        rbm.visible.bias.copy_(model.visible.bias + u @ model.visible_weight)
        rbm.hidden.bias.copy_(model.hidden.bias + u @ model.hidden_weight)
    return rbm


def test_given_side_information_it_is_the_rbm_of_shifted_biases() -> None:
    model, u = made(), torch.tensor([0.3, -1.0, 2.0]).double()
    given, rbm = model.given_conditions(u[None]), shifted(model, u)
    v, h = Bernoulli(5).states().double(), torch.rand(32, 4).double().round()
    torch.testing.assert_close(log_likelihood(given, v), log_likelihood(rbm, v), rtol=0, atol=1e-12)
    for beta in (1.0, 0.4):
        torch.testing.assert_close(given.energy(v, h, beta), rbm.energy(v, h, beta), rtol=0, atol=1e-12)
        torch.testing.assert_close(given.free_energy(v, beta), rbm.free_energy(v, beta), rtol=0, atol=1e-12)
        torch.testing.assert_close(
            given.free_energy_hidden(h, beta), rbm.free_energy_hidden(h, beta), rtol=0, atol=1e-12
        )
        torch.testing.assert_close(given.mean_hidden(v, beta), rbm.mean_hidden(v, beta), rtol=0, atol=1e-12)
        torch.testing.assert_close(given.mean_visible(h, beta), rbm.mean_visible(h, beta), rtol=0, atol=1e-12)
    torch.testing.assert_close(given.free_energy(v, [0.0, 0.5]), rbm.free_energy(v, [0.0, 0.5]), rtol=0, atol=1e-12)
    one, other = (own.gibbs(v, 7, torch.Generator().manual_seed(1)) for own in (given, rbm))
    assert torch.equal(one, other)


@pytest.mark.parametrize(("visible", "hidden"), [("bernoulli", "bernoulli"), ("softmax", "spin"), ("spin", "binomial")])
def test_log_probability_by_a_sum_over_all_states(visible: str, hidden: str) -> None:
    """By the energy's formula, with nothing of the package but the units' own energies and states."""
    model = made(visible, hidden)
    v, h = model.visible.states(), model.hidden.states()
    for u in torch.randn(3, 3, generator=torch.Generator().manual_seed(2)).double():
        own = model.visible.energy(v)[:, None] + model.hidden.energy(h)[None]
        fields = (v @ (u @ model.visible_weight))[:, None] + (h @ (u @ model.hidden_weight))[None]
        minus_energies = v @ model.weight @ h.T + fields - own
        expected = minus_energies.logsumexp(1) - minus_energies.flatten().logsumexp(0)
        given = model.given_conditions(u[None])
        torch.testing.assert_close(log_likelihood(given, v), expected, rtol=0, atol=1e-11)


def test_every_case_has_its_own_and_classes_are_rows_of_the_weights() -> None:
    model, v = made(), torch.rand(3, 5).double().round()
    several = model.given_conditions([0, 1, 2])
    for k in range(3):
        alone = model.given_conditions(torch.eye(3).double()[[k]])
        torch.testing.assert_close(several.free_energy(v)[k], alone.free_energy(v[[k]])[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(several.mean_hidden(v)[k], alone.mean_hidden(v[[k]])[0], rtol=0, atol=1e-12)


def test_samples_of_a_class_from_its_file(tmp_path: Path) -> None:
    """Frequencies of all 32 states are exact probabilities of the class, to 4 standard errors."""
    DBN([made()]).save(tmp_path / "dbn.safetensors")
    read, n = DBN.load(tmp_path / "dbn.safetensors"), 20_000
    stack, states = stack_given_label(read, 1), Bernoulli(5).states().double()
    rbm = shifted(made(), torch.tensor([0.0, 1.0, 0.0]).double())
    expected = (-rbm.free_energy(states) - Enumeration(rbm).log_z).exp()
    drawn = stack.sample(n, 30, torch.Generator().manual_seed(0), means=False)
    found = (drawn @ 2.0 ** torch.arange(4, -1, -1, dtype=torch.float64)).long().bincount(minlength=32) / n
    assert ((found - expected) / (expected * (1 - expected) / n).sqrt()).abs().max() < 4
    with pytest.raises(SettingError, match="label=3"):
        stack_given_label(read, 3)
    with pytest.raises(SettingError, match=r"stack_given_label\(stack, 3\)"):
        read.sample(3)


def test_what_has_no_meaning_without_side_information_is_refused() -> None:
    model = made()
    for call in (
        lambda: model.up(torch.rand(2, 5)),
        lambda: model.down(torch.rand(2, 4)),
        model.encoder,
        model.decoder,
    ):
        with pytest.raises(SettingError, match="given_conditions"):
            call()
    with pytest.raises(DataError, match="from 0 to 2"):
        model.given_conditions([3])
    with pytest.raises(DataError, match="side information"):
        model.given_conditions(torch.rand(2, 4))
    with pytest.raises(SettingError, match="n_conditions=0"):
        ConditionalRBM(Bernoulli(5), Bernoulli(4), 0)
    with pytest.raises(SettingError, match="replicated_softmax"):
        ConditionalRBM(ReplicatedSoftmax(5), Bernoulli(4), 2)
