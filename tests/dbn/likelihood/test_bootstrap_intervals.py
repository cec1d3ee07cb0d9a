"""Intervals: how often they hold what is true, over a hundred repetitions and more."""

import math

import pytest
import torch

from dbn.likelihood import (
    BaseRates,
    Enumeration,
    Estimate,
    annealed_importance_sampling,
    average_log_likelihood,
    exactly,
    free_energy_gap,
    log_likelihood,
    reverse_annealed_importance_sampling,
)
from dbn.likelihood.intervals import estimate_log_mean, estimate_mean
from helpers import make_rbm

REPETITIONS, CHAINS = 100, 60
BETAS = torch.linspace(0, 1, 6)
"""So few temperatures that weights differ a lot."""


@pytest.fixture(scope="module")
def repeated() -> dict[str, list[Estimate]]:
    """Partition functions of a small RBM and an average log-likelihood, again and again."""
    rbm = make_rbm("bernoulli", "bernoulli", 10, 6)
    exact, generator = Enumeration(rbm), torch.Generator().manual_seed(5)
    base = BaseRates.fitted(rbm, exact.sample(1000, generator))
    found: dict[str, list[Estimate]] = {"forward": [], "reverse": [], "average": []}
    for _ in range(REPETITIONS):
        forward = annealed_importance_sampling(rbm, BETAS, CHAINS, generator, base=base)
        draws = exact.sample(CHAINS, generator)
        reverse = reverse_annealed_importance_sampling(rbm, draws, BETAS, generator, base=base)
        found["forward"].append(forward.estimate)
        found["reverse"].append(reverse.estimate)
        found["average"].append(average_log_likelihood(rbm, exact.sample(40, generator), forward.estimate))
    return found


@pytest.mark.parametrize("what", ["forward", "reverse", "average"])
def test_intervals_hold_the_exact_value_as_often_as_they_say(what: str, repeated: dict[str, list[Estimate]]) -> None:
    """Nominal 95 % ones, in 90 to 99 of 100 repetitions. The average is minus the entropy, of enumerated states."""
    rbm = make_rbm("bernoulli", "bernoulli", 10, 6)
    log_p = log_likelihood(rbm, rbm.visible.states())
    true = float((log_p.exp() * log_p).sum()) if what == "average" else float(Enumeration(rbm).log_z)
    held = sum(true in one for one in repeated[what])
    assert 90 <= held <= 99


def coverage(sigma: float, n: int, repetitions: int = 400) -> tuple[float, float]:
    """How often intervals from log-normal values hold their log mean: those of the bootstrap, those of the error."""
    generator = torch.Generator().manual_seed(1)
    logs = torch.randn(repetitions, n, generator=generator, dtype=torch.float64) * sigma
    held = sum(sigma**2 / 2 in estimate_log_mean(one) for one in logs) / repetitions
    weights = logs.exp()
    errors = weights.std(1) / weights.mean(1) / n**0.5
    plain = ((weights.mean(1).log() - sigma**2 / 2).abs() < 1.96 * errors).double().mean().item()
    return held, plain


def test_skewed_weights_have_intervals_that_are_right() -> None:
    """Over 400 repetitions a coverage of 95 % has a standard error of 1.1 points, four of which are the tolerance.

    Weights over more orders of magnitude are held less often, and clearly more often than by the delta method.
    """
    assert abs(coverage(1.0, 60)[0] - 0.95) < 4 * 0.011
    held, plain = coverage(1.4, 50)
    assert held > plain + 0.03


def test_the_difference_of_two_estimates_of_normal_means() -> None:
    """Of equal, symmetric intervals: the root of two wider; a known value adds nothing."""
    a, b = Estimate(3.0, 2.0, 4.0), Estimate(1.0, 0.0, 2.0)
    found = a - b
    assert (found.value, found.high - 2) == (2.0, pytest.approx(math.sqrt(2)))
    assert a - exactly(1.0) == Estimate(2.0, 1.0, 3.0)
    skewed = exactly(0.0) - Estimate(1.0, 0.5, 3.0)
    assert skewed == -Estimate(1.0, 0.5, 3.0) == Estimate(-1.0, -3.0, -0.5)


def test_too_few_values_have_no_interval() -> None:
    assert math.isnan(estimate_mean(torch.ones(1)).low)
    few = estimate_log_mean(torch.randn(9))
    assert math.isnan(few.low)
    assert few.value not in few
    assert estimate_log_mean(torch.zeros(20)) == exactly(0.0)


def test_free_energy_gap_of_the_same_and_of_other_data() -> None:
    rbm = make_rbm("bernoulli", "bernoulli", 10, 6)
    exact, generator = Enumeration(rbm), torch.Generator().manual_seed(2)
    a, b = exact.sample(500, generator), exact.sample(500, generator)
    assert 0 in free_energy_gap(rbm, a, b)
    away = torch.randint(2, (500, 10), generator=generator).double()
    log_p = log_likelihood(rbm, rbm.visible.states())
    expected = float((log_p.exp() * log_p).sum() - log_p.mean())  # log Z cancels
    assert expected > 1
    assert expected in free_energy_gap(rbm, a, away)
