"""The pseudo-likelihood against conditional probabilities from enumeration and quadrature."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from dbn import RBM
from dbn.errors import SettingError
from dbn.likelihood import pseudo_log_likelihood
from dbn.models.units import Bernoulli, ReLU
from helpers import make_rbm, random_states


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian"])
def test_binary_units_against_enumeration(hidden: str) -> None:
    """Conditionals of the joint distribution over all states."""
    rbm = make_rbm("bernoulli", hidden)
    states = rbm.visible.states()
    joint = torch.softmax(-rbm.free_energy(states), 0).detach().view(2, 2, 2, 2, 2)
    expected = sum((joint / joint.sum(unit, keepdim=True)).log() for unit in range(5))
    assert torch.allclose(pseudo_log_likelihood(rbm, states), expected.flatten(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_real_units_against_quadrature(scale: float) -> None:
    """Scipy's adaptive quadrature of the density over one unit at a time, with weak and with strong weights."""
    rbm = make_rbm("gaussian", "bernoulli", n_visible=3)
    with torch.no_grad():
        rbm.weight.mul_(scale)
    states = 2 * random_states("gaussian", 4, 3)

    def density(x: float, state: torch.Tensor, unit: int) -> float:
        moved = state.clone()
        moved[unit] = x
        with torch.no_grad():
            return float(torch.exp(rbm.free_energy(state[None]) - rbm.free_energy(moved[None])))

    for state, found in zip(states, pseudo_log_likelihood(rbm, states), strict=True):
        expected = 0.0
        for unit in range(3):
            reach = float(rbm.weight[unit].detach().abs().sum()) + 12
            peaks = np.linspace(-reach, reach, 41)
            parts = [quad(density, low, high, args=(state, unit))[0] for low, high in pairwise(peaks)]
            expected -= np.log(sum(parts))
        assert float(found) == pytest.approx(expected, abs=1e-9)


def test_units_without_it_are_refused() -> None:
    with pytest.raises(SettingError, match=r"has 3 relu and 2 bernoulli units"):
        pseudo_log_likelihood(RBM(ReLU(3), Bernoulli(2)), torch.ones(1, 3))
    with pytest.raises(SettingError, match=r"has 3 bernoulli and 2 relu units"):
        pseudo_log_likelihood(RBM(Bernoulli(3), ReLU(2)), torch.ones(1, 3))
    with pytest.raises(SettingError, match=r"has 3 gaussian and 2 gaussian units"):
        pseudo_log_likelihood(make_rbm("gaussian", "gaussian", 3, 2), torch.ones(1, 3))
