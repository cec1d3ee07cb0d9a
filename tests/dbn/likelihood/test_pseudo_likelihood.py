"""Pseudo-likelihoods against enumeration and scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn.neural_network import BernoulliRBM

from dbn.errors import SettingError
from dbn.likelihood import log_likelihood, pseudo_log_likelihood
from dbn.models.units import Units
from helpers import make_rbm

NORMALISED = [kind for kind in sorted(Units.registry) if Units.registry[kind].normalised]


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


@pytest.mark.parametrize("hidden", sorted(Units.registry))
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


def test_units_that_are_not_binary_are_refused() -> None:
    with pytest.raises(SettingError, match="gaussian visible units have no pseudo-likelihood"):
        pseudo_log_likelihood(make_rbm("gaussian"), torch.zeros(2, 5))
