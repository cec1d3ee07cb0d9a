"""Annealed importance sampling against enumeration and closed forms."""

import math

import numpy as np
import pytest
import torch

from dbn import RBM
from dbn.errors import SettingError
from dbn.likelihood import (
    annealed_importance_sampling,
    log_likelihood,
    log_partition_function,
    reverse_annealed_importance_sampling,
)
from dbn.models.units import Gaussian
from helpers import NORMALISED, PAIRS, exact_draws, log_z, make_rbm


@pytest.mark.parametrize(("visible", "hidden"), NORMALISED)
def test_annealing_up_and_down_enclose_the_exact_value(visible: str, hidden: str) -> None:
    """The mean log weight is below log Z going up and above it going down (Jensen), within three standard errors;
    the estimates themselves lie within five of their own.
    """  # noqa: D205
    rbm = make_rbm(visible, hidden, 6, 4)
    with torch.no_grad():
        exact = log_z(rbm).item()
        generator = torch.Generator().manual_seed(6)
        betas = torch.linspace(0, 1, 60)
        up = annealed_importance_sampling(rbm, betas, 4000, generator)
        down = reverse_annealed_importance_sampling(rbm, exact_draws(rbm, 4000, generator), betas, generator)
    assert up.bound <= exact + 3 * up.bound_standard_error
    assert down.bound >= exact - 3 * down.bound_standard_error
    for estimate, sign in ((up, 1), (down, -1)):
        weights = (sign * (estimate.log_weights - exact)).exp()  # mean 1 in expectation, either way
        assert abs(weights.mean().item() - 1) < 5 * weights.std().item() / len(weights) ** 0.5
        assert abs(estimate.log_z - exact) < 5 * estimate.log_z_standard_error < 0.05


REPETITIONS, CHAINS = 800, 400


@pytest.mark.parametrize("way", ["up", "down"])
def test_standard_errors_are_the_spread_of_repeated_estimates(way: str) -> None:
    """800 repetitions on an enumerable RBM, with a ladder so coarse that the two errors are well apart.

    A standard deviation over R repetitions has a relative standard error of 1 / sqrt(2 (R - 1)) where estimates are
    near normal: 2.5 %, four of which are 10 %. The nominal 95 % interval of log_z holds the exact value in 95 %,
    within four standard errors of 0.8 points and one point for the bias of the delta method with 400 chains.
    """
    rbm = make_rbm("bernoulli", "bernoulli", 8, 6)
    generator, betas = torch.Generator().manual_seed(8), torch.linspace(0, 1, 4)
    with torch.no_grad():
        exact = log_z(rbm).item()
        if way == "up":
            found = [annealed_importance_sampling(rbm, betas, CHAINS, generator) for _ in range(REPETITIONS)]
        else:
            draws = exact_draws(rbm, CHAINS * REPETITIONS, generator).split(CHAINS)
            found = [reverse_annealed_importance_sampling(rbm, v, betas, generator) for v in draws]
    tolerance = 4 / (2 * (REPETITIONS - 1)) ** 0.5
    stated = {}
    for name in ("log_z", "bound"):
        spread = torch.tensor([getattr(one, name) for one in found], dtype=torch.float64).std().item()
        errors = torch.tensor([getattr(one, f"{name}_standard_error") for one in found], dtype=torch.float64)
        stated[name] = errors.square().mean().sqrt().item()
        assert stated[name] == pytest.approx(spread, rel=tolerance), name
    assert stated["log_z"] > (1 + tolerance) * stated["bound"]
    covered = sum(abs(one.log_z - exact) < 1.96 * one.log_z_standard_error for one in found) / REPETITIONS
    assert abs(covered - 0.95) < 4 * (0.95 * 0.05 / REPETITIONS) ** 0.5 + 0.01


def test_one_chain_has_an_estimate_and_no_error() -> None:
    found = annealed_importance_sampling(make_rbm(), torch.linspace(0, 1, 5), 1, torch.Generator().manual_seed(0))
    assert found.log_z == pytest.approx(found.bound) == pytest.approx(float(found.log_weights))
    assert math.isnan(found.log_z_standard_error)
    assert math.isnan(found.bound_standard_error)


@pytest.mark.parametrize(("visible", "hidden"), sorted(set(PAIRS) - set(NORMALISED)))
def test_units_without_likelihoods_are_refused(visible: str, hidden: str) -> None:
    rbm, betas = make_rbm(visible, hidden, 3, 2), torch.linspace(0, 1, 3)
    v = torch.zeros(2, 3, dtype=torch.float64)
    for work in (
        lambda: annealed_importance_sampling(rbm, betas, 2),
        lambda: reverse_annealed_importance_sampling(rbm, v, betas),
        lambda: log_partition_function(rbm),
        lambda: log_likelihood(rbm, v, torch.tensor(0.0)),
    ):
        with pytest.raises(SettingError, match="relu units have a free energy but no likelihood"):
            work()


def test_a_coarse_ladder_opens_the_gap() -> None:
    """With two temperatures the bounds must be visibly apart: the enclosing above is not empty."""
    rbm = make_rbm("bernoulli", "bernoulli", 8, 6)
    generator = torch.Generator().manual_seed(7)
    betas = torch.tensor([0.0, 1.0])
    with torch.no_grad():
        up = annealed_importance_sampling(rbm, betas, 2000, generator)
        down = reverse_annealed_importance_sampling(rbm, exact_draws(rbm, 2000, generator), betas, generator)
    assert down.bound - up.bound > 1


def test_enumeration_refuses_what_it_cannot_sum() -> None:
    with pytest.raises(SettingError, match="infinitely many"):
        log_partition_function(RBM(Gaussian(2), Gaussian(2)))


@pytest.mark.parametrize("betas", [[0.0, 0.5], [0.1, 1.0], [0.0, 0.6, 0.6, 1.0], [0.0]])
def test_ladders_that_do_not_rise_from_zero_to_one_are_refused(betas: list[float]) -> None:
    with pytest.raises(SettingError, match="rise from 0 to 1"):
        annealed_importance_sampling(make_rbm(), torch.tensor(betas), 10)


def test_a_ladder_may_be_a_list_an_array_or_a_tensor() -> None:
    """All with the same result."""
    rbm, steps = make_rbm(), [0.0, 0.25, 0.5, 1.0]
    up = [
        annealed_importance_sampling(rbm, betas, 10, torch.Generator().manual_seed(0)).log_weights
        for betas in (torch.tensor(steps), steps, np.array(steps))
    ]
    assert torch.equal(up[0], up[1])
    assert torch.equal(up[0], up[2])
    v = torch.zeros(3, rbm.n_visible, dtype=torch.float64)
    down = [
        reverse_annealed_importance_sampling(rbm, v, betas, torch.Generator().manual_seed(0)).log_weights
        for betas in (torch.tensor(steps), steps)
    ]
    assert torch.equal(*down)


@pytest.mark.parametrize("betas", ["abc", [0.0, "half", 1.0], [[0.0, 1.0]], None, 1.0, []])
def test_what_is_no_ladder_is_refused(betas: object) -> None:
    with pytest.raises(SettingError, match=r"^betas="):
        annealed_importance_sampling(make_rbm(), betas, 10)  # type: ignore[arg-type]


@pytest.mark.parametrize("chains", [0, 2.5])
def test_chains_are_a_whole_number(chains: float) -> None:
    with pytest.raises(SettingError, match=rf"^chains={chains}: it must be a whole number from 1"):
        annealed_importance_sampling(make_rbm(), [0.0, 1.0], chains)  # type: ignore[arg-type]
