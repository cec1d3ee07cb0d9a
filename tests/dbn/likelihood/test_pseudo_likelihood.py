"""Pseudo-likelihoods against enumeration, quadrature and scikit-learn's."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from sklearn.neural_network import BernoulliRBM

from dbn import RBM
from dbn.errors import SettingError
from dbn.likelihood import log_likelihood, pseudo_log_likelihood
from dbn.models.connections import Convolution
from dbn.models.units import Bernoulli, PerMap, ReLU, Units
from helpers import KINDS, make_rbm, random_states

NORMALISED = [kind for kind in KINDS if Units.registry[kind].normalised]


@pytest.mark.parametrize("hidden", NORMALISED)
def test_every_conditional_is_that_of_the_enumerated_distribution(hidden: str) -> None:
    """``p(v_i | v_-i)`` is ``p(v)`` divided by the sum over both values of ``v_i``."""
    rbm = make_rbm("bernoulli", hidden)
    states = rbm.visible.states()
    log_p = log_likelihood(rbm, states)
    expected = torch.zeros(len(states), dtype=torch.float64)
    for unit in range(rbm.n_visible):
        flipped = states.clone()
        flipped[:, unit] = 1 - flipped[:, unit]
        expected += log_p - torch.logaddexp(log_p, log_likelihood(rbm, flipped))
    torch.testing.assert_close(pseudo_log_likelihood(rbm, states), expected, rtol=0, atol=1e-10)


def test_units_of_maps_have_the_bias_of_their_map() -> None:
    """Against the enumerated distribution, and the sum over units against the mean of estimates."""
    connection = Convolution((2, 3, 2), maps=2, kernel=2)
    rbm = RBM(PerMap((2, 3, 2)), PerMap(connection.hidden_shape), connection).double()
    connection.initialise(0.8, torch.Generator().manual_seed(1))
    with torch.no_grad():
        rbm.visible.bias.copy_(torch.tensor([-0.7, 1.1]))
    states = rbm.visible.states()[::37]
    log_p, expected = log_likelihood(rbm, states), torch.zeros(len(states), dtype=torch.float64)
    for unit in range(rbm.n_visible):
        flipped = states.clone()
        flipped[:, unit] = 1 - flipped[:, unit]
        expected += log_p - torch.logaddexp(log_p, log_likelihood(rbm, flipped))
    torch.testing.assert_close(pseudo_log_likelihood(rbm, states), expected, rtol=0, atol=1e-10)
    each = [pseudo_log_likelihood(rbm, states, torch.full((len(states),), k)) for k in range(rbm.n_visible)]
    torch.testing.assert_close(torch.stack(each).mean(0), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("hidden", KINDS)
def test_the_mean_over_units_of_estimates_is_the_sum(hidden: str) -> None:
    rbm = make_rbm("bernoulli", hidden)
    states = rbm.visible.states()
    each = [pseudo_log_likelihood(rbm, states, torch.full((len(states),), k)) for k in range(rbm.n_visible)]
    torch.testing.assert_close(torch.stack(each).mean(0), pseudo_log_likelihood(rbm, states), rtol=0, atol=1e-12)
    assert float((each[0] - each[1]).abs().max()) > 0.01


def test_estimates_are_those_of_scikit_learn() -> None:
    """Of its ``score_samples``, which draws a unit for each state."""
    rbm = make_rbm(n_visible=7)
    states = rbm.visible.states()
    theirs = BernoulliRBM(random_state=3)
    theirs.components_ = rbm.weight.detach().numpy().T
    theirs.intercept_hidden_ = rbm.hidden.bias.detach().numpy()
    theirs.intercept_visible_ = rbm.visible.bias.detach().numpy()
    units = torch.from_numpy(np.random.RandomState(3).randint(0, 7, len(states)))
    expected = torch.from_numpy(theirs.score_samples(states.numpy()))
    torch.testing.assert_close(pseudo_log_likelihood(rbm, states, units), expected, rtol=0, atol=1e-10)


def test_a_value_between_is_the_probability_of_a_one() -> None:
    rbm = make_rbm()
    states = rbm.visible.states()[:, :5].clone()
    unit = torch.full((len(states),), 2)
    of = {}
    for value in (0.0, 0.3, 1.0):
        states[:, 2] = value
        of[value] = pseudo_log_likelihood(rbm, states, unit)
    torch.testing.assert_close(of[0.3], 0.3 * of[1.0] + 0.7 * of[0.0], rtol=0, atol=1e-12)


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
    with pytest.raises(SettingError, match=r"has 3 gaussian and 2 gaussian units"):
        pseudo_log_likelihood(make_rbm("gaussian", "gaussian", 3, 2), torch.ones(1, 3))
    with pytest.raises(SettingError, match=r"has 3 gaussian and 2 bernoulli units"):
        pseudo_log_likelihood(make_rbm("gaussian", "bernoulli", 3, 2), torch.ones(1, 3), torch.tensor([1]))
