"""Filling in: the chain's distribution of the missing units is the exact conditional one."""

import math

import pytest
import torch
from torch import Tensor, nn

from dbn import DBN, RBM, Bernoulli, Gaussian
from dbn.errors import DataError, SettingError
from dbn.models.autoencoder import TiedAutoencoder
from dbn.models.connections import Convolution, Dense
from dbn.models.units import make_units
from dbn.samplers.clamped import clamped_gibbs
from helpers import make_rbm

DRAWS = 100_000


def conditional(rbm: RBM, v: Tensor, missing: Tensor) -> Tensor:
    """Exact ``p(missing units | observed units)`` by enumeration, over all states of the visible units ``(32,)``."""
    states = rbm.visible.states()
    agrees = (states == v)[:, ~missing].all(1)
    return torch.softmax(torch.where(agrees, -rbm.free_energy(states), -torch.inf), 0)


def frequencies(states: Tensor) -> Tensor:
    """How often each state of five binary units occurs, ``(32,)``."""
    code = 2.0 ** torch.arange(4, -1, -1, dtype=states.dtype)
    return torch.bincount((states @ code).long(), minlength=32) / len(states)


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian"])
def test_the_missing_units_have_their_exact_conditional_distribution(hidden: str, stacked: bool) -> None:
    """Total variation within four times its expectation for exact draws; so an RBM, and a stack of one."""
    rbm = make_rbm("bernoulli", hidden)
    v = torch.tensor([1.0, 0, 1, 1, 0], dtype=torch.float64)
    missing = torch.tensor([True, False, True, False, True])
    p = conditional(rbm, v, missing)
    floor = (p * (1 - p) / DRAWS).sqrt().sum() / 2
    states, means, expected = clamped_gibbs(
        DBN([rbm]) if stacked else rbm,
        v.expand(DRAWS, 5),
        missing.expand(DRAWS, 5),
        60,
        torch.Generator().manual_seed(1),
    )
    assert (frequencies(states) - p).abs().sum() / 2 < 4 * floor
    exact = p @ rbm.visible.states()
    for found in (means, expected):
        error = (found.mean(0) - exact).abs() / (found.std(0) / DRAWS**0.5).clamp(min=1e-12)
        assert (error[missing] < 4.5).all()
    assert (expected.std(0) < 0.5 * means.std(0))[missing].all(), "an average of many steps"
    unconditional = torch.softmax(-rbm.free_energy(rbm.visible.states()), 0)
    assert (unconditional - p).abs().sum() / 2 > 100 * floor, "the observed units matter here"


@pytest.mark.parametrize("steps", [1, 4])
def test_from_the_exact_distribution_it_does_not_move(steps: int) -> None:
    """No drift: exact draws of the missing units, handed over as observed in turn, stay what they were."""
    rbm = make_rbm()
    v = torch.tensor([1.0, 0, 1, 1, 0], dtype=torch.float64)
    first, then = torch.tensor([True] * 3 + [False] * 2), torch.tensor([True, False, False, False, False])
    p = conditional(rbm, v, first)
    generator = torch.Generator().manual_seed(2)
    draws = rbm.visible.states()[torch.multinomial(p, DRAWS, replacement=True, generator=generator)]
    moved = clamped_gibbs(rbm, draws, then.expand(DRAWS, 5), 30 * steps, generator).states
    floor = (p * (1 - p) / DRAWS).sqrt().sum() / 2
    assert (frequencies(moved) - p).abs().sum() / 2 < 4 * floor * 2**0.5  # two samplings


def test_gaussian_visible_units() -> None:
    """Conditional mean and variance of one missing unit against quadrature."""
    rbm = RBM(Gaussian(3), Bernoulli(4)).double()
    generator = torch.Generator().manual_seed(3)
    for parameter in rbm.parameters():
        nn.init.normal_(parameter, std=0.7, generator=generator)
    v = torch.tensor([0.4, 0.0, -1.1], dtype=torch.float64)
    missing = torch.tensor([False, True, False])
    grid = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    at = v.repeat(len(grid), 1)
    at[:, 1] = grid
    p = torch.softmax(-rbm.free_energy(at), 0)
    mean = p @ grid
    variance = p @ (grid - mean) ** 2
    found = clamped_gibbs(rbm, v.expand(DRAWS, 3), missing.expand(DRAWS, 3), 60, generator).states[:, 1]
    assert abs(found.mean() - mean) < 4.5 * (variance / DRAWS) ** 0.5
    assert abs(found.var() - variance) < 4.5 * variance * (2 / DRAWS) ** 0.5


def deep() -> DBN:
    lower, upper = make_rbm(n_visible=5, n_hidden=4), make_rbm(n_visible=4, n_hidden=3)
    return DBN([lower, upper])


def test_a_stack_keeps_what_is_observed_and_the_seed_decides() -> None:
    stack, generator = deep(), torch.Generator()
    v = torch.rand(50, 5, dtype=torch.float64, generator=generator.manual_seed(0)).round()
    missing = torch.rand(50, 5, generator=generator) < 0.5
    first, again, other = (clamped_gibbs(stack, v, missing, 20, generator.manual_seed(seed)) for seed in (4, 4, 5))
    for filled in (first, other):
        assert all(torch.equal(own[~missing], v[~missing]) for own in filled)
        assert set(filled.states[missing].unique().tolist()) == {0.0, 1.0}
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[1], other[1])
    lost = torch.where(missing, torch.nan, v)
    assert torch.equal(clamped_gibbs(stack, lost, missing, 20, generator.manual_seed(4))[0], first[0]), "never used"


def test_a_stack_all_of_whose_units_are_missing_draws_from_its_own_chain() -> None:
    """The stationary distribution of the pass up and down, by its transition matrix over all visible states."""
    stack = deep()
    states = stack[0].visible.states()

    def bernoulli(mean: Tensor, given: Tensor) -> Tensor:
        """``p(state | mean)``, ``(from, to)``."""
        return (mean[:, None] * given + (1 - mean)[:, None] * (1 - given)).prod(-1)

    middle, top = stack[1].visible.states(), stack[1].hidden.states()
    up = bernoulli(stack[0].mean_hidden(states), middle) @ bernoulli(stack[1].mean_hidden(middle), top)
    down = bernoulli(stack[1].mean_visible(top), middle) @ bernoulli(stack[0].mean_visible(middle), states)
    p = torch.linalg.matrix_power(up @ down, 200)[0]
    missing = torch.ones(DRAWS, 5, dtype=torch.bool)
    v = torch.zeros(DRAWS, 5, dtype=torch.float64)
    found = clamped_gibbs(stack, v, missing, 60, torch.Generator().manual_seed(6)).states
    floor = (p * (1 - p) / DRAWS).sqrt().sum() / 2
    assert (frequencies(found) - p).abs().sum() / 2 < 4 * floor


def test_a_stack_of_pooled_maps_fills_in_what_its_upper_layer_wants() -> None:
    """The upper layer's bias turns all pooled units off or on, and a filter of one pixel says that in the image."""
    connection = Convolution((1, 4, 4), maps=1, kernel=1, maps_first=True)
    hidden = make_units(connection.units_of_hidden("bernoulli", 2), connection.hidden_shape)
    lower, upper = RBM(Bernoulli((1, 4, 4)), hidden, connection), RBM(Bernoulli((2, 2, 1)), Bernoulli(3))
    v, missing = torch.zeros(200, 16), torch.ones(200, 16, dtype=torch.bool)
    missing[:, :8] = False
    with torch.no_grad():
        lower.weight.fill_(2.0)
    logistic_of_2 = 1 / (1 + math.exp(-2))
    for bias, expected in ((-20.0, 0.5), (20.0, 0.25 * logistic_of_2 + 0.75 * 0.5)):  # on: one pixel in four
        with torch.no_grad():
            upper.visible.bias.fill_(bias)
        filled = clamped_gibbs(DBN([lower, upper]), v, missing, 20, torch.Generator().manual_seed(0))
        assert filled.states[:, :8].eq(0).all()
        assert float(filled.means[:, 8:].mean()) == pytest.approx(expected, abs=1e-3)


def test_what_cannot_be_filled_in_is_said() -> None:
    rbm, v = make_rbm(), torch.zeros(2, 5, dtype=torch.float64)
    missing = torch.zeros(2, 5, dtype=torch.bool)
    with pytest.raises(SettingError, match="steps=0"):
        clamped_gibbs(rbm, v, missing, 0)
    for wrong in (missing[:1], missing.double()):
        with pytest.raises(DataError, match="missing must be"):
            clamped_gibbs(rbm, v, wrong)
    with pytest.raises(DataError, match="5 visible units"):
        clamped_gibbs(rbm, v[:, :4], missing[:, :4])
    tied = DBN([TiedAutoencoder(Bernoulli(5), Bernoulli(4), Dense((5,), 4))])
    with pytest.raises(SettingError, match="only RBMs"):
        clamped_gibbs(tied, v.float(), missing)
