"""Layers with untied weights: against the RBM that they are made of, in files, in stacks, and what they refuse."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dbn import DBN, RBM, Bernoulli, Gaussian, ReLU
from dbn.errors import SettingError
from dbn.likelihood import dbn_log_likelihood_bound, log_likelihood, log_partition_function
from dbn.models.autoencoder import TiedAutoencoder
from dbn.models.connections import Dense
from dbn.models.units import GaussianWithVariance
from dbn.models.untied import Untied
from dbn.samplers.clamped import clamped_gibbs
from helpers import make_rbm


def untied(visible: str = "bernoulli") -> Untied:
    """A layer of 5 x 4 units with weights of its own in both directions, float64."""
    layer = Untied.of(make_rbm(visible))
    with torch.no_grad():
        layer.generative.weight.copy_(make_rbm(n_visible=5, n_hidden=4).weight.flip(0))
    return layer


def log_of_bernoulli(x: Tensor, logits: Tensor) -> Tensor:
    """``log p(x)`` of independent binary units."""
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_made_of_an_rbm_it_is_that_in_both_directions(visible: str) -> None:
    rbm = make_rbm(visible)
    layer, v, h = Untied.of(rbm), torch.rand(3, 5).double(), torch.rand(3, 4).double()
    torch.testing.assert_close(layer.up(v), rbm.up(v), rtol=0, atol=0)
    torch.testing.assert_close(layer.down(h), rbm.down(h), rtol=0, atol=0)
    with torch.no_grad():
        layer.connection.weight.add_(1)
    assert not torch.allclose(layer.up(v), rbm.up(v))
    torch.testing.assert_close(layer.down(h), rbm.down(h), rtol=0, atol=0)


def test_conditional_probabilities_are_those_of_independent_units() -> None:
    layer, v, h = untied(), torch.eye(5).double(), torch.ones(5, 4).double().tril()
    recognition = log_of_bernoulli(h, v @ layer.connection.weight + layer.hidden.bias)
    generative = log_of_bernoulli(v, h @ layer.generative.weight.T + layer.visible.bias)
    torch.testing.assert_close(layer.log_recognition(v, h), recognition, rtol=0, atol=1e-12)
    torch.testing.assert_close(layer.log_generative(v, h), generative, rtol=0, atol=1e-12)
    other = untied("gaussian")
    normal = torch.distributions.Normal(h @ other.generative.weight.T + other.visible.bias, 1.0)
    torch.testing.assert_close(other.log_generative(v, h), normal.log_prob(v).sum(1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_gradients_against_autograd_of_the_conditional_probabilities(visible: str) -> None:
    layer = untied(visible)
    generator = torch.Generator().manual_seed(0)
    v, h = (torch.rand(7, n, generator=generator, dtype=torch.float64) for n in (5, 4))
    weights = torch.cat([torch.full((7,), sign / 9, dtype=torch.float64) for sign in (-1, 1)])
    loss = -(layer.log_generative(v, h) + layer.log_recognition(v, h)).sum() / 9
    expected = torch.autograd.grad(loss, list(layer.parameters()))
    for _ in range(2):  # the second time into gradients that hold something
        with torch.no_grad():
            layer.write_generative_gradient(v, h, weights)
            layer.write_recognition_gradient(v, h, weights)
        for (name, parameter), gradient in zip(layer.named_parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-12, msg=name)


def test_a_stack_of_them_is_read_from_its_file_and_goes_on_in_networks(tmp_path: Path) -> None:
    stack = DBN([untied().float(), RBM(Bernoulli(4), Bernoulli(3))])
    stack.save(tmp_path / "dbn.safetensors")
    again, v = DBN.load(tmp_path / "dbn.safetensors"), torch.rand(6, 5)
    assert isinstance(again[0], Untied)
    for (name, own), (_, read) in zip(stack.named_parameters(), again.named_parameters(), strict=True):
        assert torch.equal(own, read), name
    generators = (torch.Generator().manual_seed(0) for _ in range(2))
    assert torch.equal(
        *(own.sample(4, 5, generator) for own, generator in zip((stack, again), generators, strict=True))
    )
    encoder, _ = stack[0].encoder()
    decoder, _ = stack[0].decoder()
    torch.testing.assert_close(encoder(v).sigmoid(), stack[0].up(v))
    torch.testing.assert_close(decoder(stack[0].up(v)).sigmoid(), stack[0].down(stack[0].up(v)))


@torch.no_grad()
def log_joint(stack: DBN, v: Tensor) -> tuple[Tensor, Tensor]:
    """``log p(v, h)`` and ``log q(h | v)`` of all states of the hidden units below the top RBM, ``(batch, states)``."""
    h = stack[1].visible.states()
    generative = (h @ stack[0].generative.weight.T + stack[0].visible.bias).expand(len(v), -1, -1)
    recognition = (v @ stack[0].connection.weight + stack[0].hidden.bias)[:, None].expand(-1, len(h), -1)
    given = log_of_bernoulli(v[:, None].expand(-1, len(h), -1), generative)
    return given + log_likelihood(stack[1], h), log_of_bernoulli(h.expand(len(v), -1, -1), recognition)


def test_samples_and_bounds_are_those_of_both_weights() -> None:
    """Frequencies of all 32 states, and the variational bound of each; tolerances are standard errors."""
    stack, n = DBN([untied(), make_rbm(n_visible=4, n_hidden=3)]), 40_000
    states = Bernoulli(5).states().double()
    joint, recognition = log_joint(stack, states)
    probabilities = joint.logsumexp(1).exp()
    torch.testing.assert_close(probabilities.sum(), torch.tensor(1.0).double(), rtol=0, atol=1e-10)
    drawn = stack.sample(n, 30, torch.Generator().manual_seed(0), means=False)
    found = (drawn @ 2.0 ** torch.arange(4, -1, -1, dtype=torch.float64)).long().bincount(minlength=32) / n
    errors = (found - probabilities) / (probabilities * (1 - probabilities) / n).sqrt()
    assert errors.abs().max() < 4
    samples, log_z = 1000, log_partition_function(stack[1])
    bound = dbn_log_likelihood_bound(stack, states, log_z, samples, torch.Generator().manual_seed(0))
    weights, terms = recognition.exp(), joint - recognition
    mean = (weights * terms).sum(1)
    deviation = ((weights * terms.square()).sum(1) - mean.square()).sqrt() / samples**0.5
    assert ((bound.variational - mean) / deviation).abs().max() < 4
    assert (bound.importance_weighted > bound.variational).all()


def test_missing_pixels_are_drawn_from_the_generative_weights() -> None:
    layer = untied()
    with torch.no_grad():  # generatively all pixels are off, whatever the recognition weights say
        layer.generative.weight.zero_()
        layer.visible.bias.fill_(-40)
    stack, v = DBN([layer, make_rbm(n_visible=4, n_hidden=3)]), torch.ones(2, 5).double()
    missing = torch.zeros(2, 5, dtype=torch.bool)
    missing[:, 3:] = True
    filled = clamped_gibbs(stack, v, missing, 5, torch.Generator().manual_seed(0))
    assert filled.states[:, 3:].sum() == 0
    assert (filled.states[:, :3] == 1).all()


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (RBM(Bernoulli(4), ReLU(3)), "hidden=relu"),
        (RBM(GaussianWithVariance(4), Bernoulli(3)), "visible=gaussian_with_variance"),
        (TiedAutoencoder(Gaussian(4), Bernoulli(3), Dense((4,), 3)), "TiedAutoencoder"),
    ],
)
def test_other_layers_are_refused(layer: RBM, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        Untied.of(layer)
