"""Autocorrelation times against closed forms; chains of models that are known to mix, and not to."""

import pytest
import torch

from dbn import RBM, Bernoulli
from dbn.diagnostics import autocorrelation_time, measure_mixing
from dbn.errors import DataError, SettingError


def autoregressive(rho: float, steps: int, chains: int) -> torch.Tensor:
    """Chains ``x' = rho x + noise`` that start in equilibrium."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(steps, chains, generator=generator, dtype=torch.float64) * (1 - rho**2) ** 0.5
    x, found = torch.randn(chains, generator=generator, dtype=torch.float64), []
    for step in noise:
        x = rho * x + step
        found.append(x)
    return torch.stack(found)


@pytest.mark.parametrize("rho", [-0.2, 0.0, 0.5, 0.9])
def test_times_of_autoregressive_chains(rho: float) -> None:
    """``(1 + rho) / (1 - rho)``, within four standard errors; the function is ``rho^t``."""
    found = autocorrelation_time(autoregressive(rho, 4000, 50))
    expected = (1 + rho) / (1 - rho)
    error = (found.steps.high - found.steps.value) / 1.96
    assert abs(found.steps.value - expected) < 4 * error < 0.3 * expected
    assert found.long_enough
    for lag in range(5):
        assert float(found.function[lag]) == pytest.approx(rho**lag, abs=0.03)


def test_chains_that_stay_apart_or_are_short_are_not_long_enough() -> None:
    apart = autoregressive(0.2, 1000, 20) + torch.arange(20)[None] % 2 * 10
    found = autocorrelation_time(apart)
    assert not found.long_enough
    assert found.steps.value > 100
    assert not autocorrelation_time(autoregressive(0.9, 100, 50)).long_enough


@pytest.mark.parametrize("series", [torch.zeros(10, 3), torch.full((10, 3), torch.nan), torch.randn(3, 4)])
def test_series_without_a_time_are_refused(series: torch.Tensor) -> None:
    with pytest.raises(DataError, match="series"):
        autocorrelation_time(series)


def two_modes(strength: float, n: int = 20) -> tuple[RBM, torch.Tensor]:
    """An RBM with the modes all on and all off, of the same probability, and data from both.

    With one hidden unit, the chain in ``h`` has two states: the time is known. Biases balance the modes.
    """
    rbm = RBM(Bernoulli(n), Bernoulli(1)).double()
    with torch.no_grad():
        rbm.weight.fill_(strength)
        rbm.visible.bias.fill_(-strength / 2)
        rbm.hidden.bias.fill_(-strength * n / 2)
    h = torch.arange(400)[:, None].double() % 2
    with torch.no_grad():
        return rbm, rbm.sample_visible(h, torch.Generator().manual_seed(0))


@torch.no_grad()
def exact_time(rbm: RBM) -> float:
    """Of the number of visible units that are on, which is a Markov chain of its own where they are all alike.

    With the transition matrix ``T`` and the stationary distribution ``p``, the sum of the autocovariances of ``f`` from
    lag 0 is ``(p f) (I - T + 1 p)^-1 f`` for ``f`` of mean zero.
    """
    n, weight = rbm.n_visible, float(rbm.weight[0, 0])
    counts = torch.arange(n + 1, dtype=torch.float64)
    on = torch.sigmoid(rbm.hidden.bias + weight * counts)
    given = [
        torch.distributions.Binomial(n, logits=rbm.visible.bias[0] + weight * h).log_prob(counts).exp() for h in (0, 1)
    ]
    matrix = (1 - on)[:, None] * given[0] + on[:, None] * given[1]
    p = torch.linalg.matrix_power(matrix, 2**20)[0]
    f = counts - p @ counts
    total = (p * f) @ torch.linalg.solve(torch.eye(n + 1, dtype=torch.float64) - matrix + p, f)
    return float(2 * total / (p @ f.square()) - 1)


def test_time_of_a_chain_that_can_be_enumerated() -> None:
    """The first component of the data is nearly the number of units that are on: within 10 %."""
    rbm, data = two_modes(1.8, 10)
    found = measure_mixing(rbm, data, chains=100, steps=3000, generator=torch.Generator().manual_seed(1))
    assert found.quantities[found.slowest] == "component 1"
    assert exact_time(rbm) > 5
    assert found.times[found.slowest].steps.value == pytest.approx(exact_time(rbm), rel=0.1)
    assert found.steps_needed is not None
    assert found.visited > 5
    assert found.misplaced < 0.1


def test_chains_that_do_not_mix_are_found_out() -> None:
    """From data they stay in two modes apart, and R-hat says so."""
    rbm, data = two_modes(4.5)
    found = measure_mixing(rbm, data, chains=20, steps=200, modes=2, generator=torch.Generator().manual_seed(1))
    assert found.steps_needed is None
    assert (found.visited, found.switches) == (1, 0)
    assert found.shares.tolist() == [0.5, 0.5]
    assert not found.times[found.slowest].long_enough
    assert found.r_hat[-1][1] > 2
    easy, own = two_modes(0.1)
    mixed = measure_mixing(easy, own, chains=20, steps=1000, modes=2, generator=torch.Generator().manual_seed(1))
    assert mixed.steps_needed is not None
    assert (mixed.visited, mixed.switches > 0.2) == (2, True)


def test_too_few_data_or_steps_are_refused() -> None:
    rbm, data = two_modes(1.0)
    with pytest.raises(DataError, match="400 states for chains=401"):
        measure_mixing(rbm, data, chains=401)
    with pytest.raises(SettingError, match="steps=7"):
        measure_mixing(rbm, data, chains=10, steps=7)
    with pytest.raises(SettingError, match="group of several"):
        measure_mixing(RBM.group([rbm, rbm]), data)
    with pytest.raises(SettingError, match="modes=1"):
        measure_mixing(rbm, data, chains=10, steps=10, modes=1)
