"""Chains at several temperatures: by enumeration, each keeps its distribution."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from dbn import RBM
from dbn.errors import SettingError
from dbn.models.connections import Convolution
from dbn.models.units import Bernoulli, PerMap, make_units
from dbn.random.streams import stream
from dbn.samplers.tempered_chains import TemperedChains, field_between
from helpers import KINDS, NORMALISED, exact_draws, make_rbm, random_states, randomise, units_of

BETAS = [0.0, 0.25, 0.7, 1.0]


def convolutional() -> RBM:
    """Images of 3 x 3 pixels, two maps of 2 x 2 units of which at most one is on."""
    connection = Convolution((1, 3, 3), 2, 2, maps_first=True)
    above = make_units(connection.units_of_hidden("bernoulli", 2), connection.hidden_shape)
    rbm = RBM(make_units("bernoulli", (1, 3, 3)), above, connection).double()
    connection.initialise(1.0, stream(0, "weights"))
    for units in (rbm.visible, rbm.hidden):
        randomise(units, stream(1, "weights"))
    return rbm


def rbm_of(kinds: tuple[str, str]) -> RBM:
    return convolutional() if kinds == ("maps", "maps") else make_rbm(*kinds)


@torch.no_grad()
def densities(rbm: RBM, tempered: TemperedChains, v: Tensor) -> Tensor:
    """Log densities of states at each temperature, up to a constant for each, ``(temperatures, states)``.

    A model's weights times beta, in outer fields that are parts of the energies.
    """
    r, s = tempered.visible_reference[0], tempered.hidden_reference[0]
    found = []
    for beta in BETAS:
        hidden = rbm.hidden.log_partition(rbm.hidden_field(v, beta=beta) + (1 - beta) * s)
        found.append(hidden - rbm.visible.energy(v) + (1 - beta) * (v @ r))
    return torch.stack(found)


def in_fields(rbm: RBM, v: Tensor) -> TemperedChains:
    """Chains of a model in random outer fields."""
    tempered = TemperedChains(rbm, v, BETAS)
    tempered.visible_reference.normal_(generator=stream(0, "visible_reference"))
    tempered.hidden_reference.normal_(generator=stream(0, "hidden_reference"))
    return tempered


@pytest.mark.parametrize("kinds", [("bernoulli", "bernoulli"), ("softmax", "gaussian"), ("maps", "maps")])
@torch.no_grad()
def test_at_every_temperature_chains_stay_in_its_distribution(kinds: tuple[str, str]) -> None:
    """Drawn from each enumerated p(v), six rounds later they are still drawn from it, with an outer field at 0."""
    rbm, rows = rbm_of(kinds), 30_000
    states = rbm.visible.states()
    tempered = in_fields(rbm, states[:1].repeat(rows, 1))
    p = torch.softmax(densities(rbm, tempered, states), 1)
    draws = [torch.multinomial(own, rows, replacement=True, generator=stream(k, "data")) for k, own in enumerate(p)]
    tempered.v.copy_(states[torch.cat(draws)])
    tempered.move(rbm, 6, stream(0, "gibbs"))
    code = torch.arange(1, states.shape[1] + 1, dtype=torch.float64).exp2()
    order = (states @ code).sort()
    for own, v in zip(p, tempered.by_temperature(tempered.v), strict=True):
        found = order.indices[torch.searchsorted(order.values, v @ code)]
        q = torch.bincount(found, minlength=len(states)) / rows
        floor = (own * (1 - own) / rows).sqrt().sum() / 2
        assert (own - q).abs().sum() / 2 < 2 * floor
    assert (p[0] - p[-1]).abs().sum() / 2 > 0.2
    assert 0.05 < float(tempered.swaps.mean_rejections().max()) < 0.95


@pytest.mark.parametrize(("visible", "hidden"), NORMALISED)
@torch.no_grad()
def test_a_swap_changes_the_density_by_what_the_free_energies_say(visible: str, hidden: str) -> None:
    rbm = make_rbm(visible, hidden)
    v = random_states(visible, 4 * 6, 5)
    tempered = in_fields(rbm, v[:6])
    tempered.v.copy_(v)
    log_p = densities(rbm, tempered, v).view(4, 4, 6)  # temperature, whose state, row
    expected = [log_p[k, k + 1] + log_p[k + 1, k] - log_p[k, k] - log_p[k + 1, k + 1] for k in range(3)]
    found = tempered.log_ratio(rbm, rbm.hidden_field(tempered.v))
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian"])
@torch.no_grad()
def test_real_units_keep_their_moments(hidden: str) -> None:
    """Gaussian visible units: chains from exact draws have the exact draws' moments after 20 rounds."""
    rbm, rows = make_rbm("gaussian", hidden), 20_000
    start, other = exact_draws(rbm, rows, stream(0, "data")), exact_draws(rbm, rows, stream(1, "data"))
    tempered = TemperedChains(rbm, start, BETAS)
    tempered.move(rbm, 20, stream(0, "gibbs"))
    for moment in (lambda v: v, torch.square, lambda v: v * v.roll(1, 1)):
        one, two = moment(tempered.top), moment(other)
        error = ((one.var(0) + two.var(0)) / rows).sqrt()
        assert bool(((one.mean(0) - two.mean(0)).abs() < 5 * error).all())


@pytest.mark.parametrize("kind", [*KINDS, "per_map"])
@torch.no_grad()
def test_units_in_the_field_between_are_the_others(kind: str) -> None:
    """Their means, in whatever field."""
    if kind == "relu":
        pytest.skip("units without likelihoods do not exchange states")
    units = (PerMap((2, 2, 3), "bernoulli") if kind == "per_map" else units_of(kind, 5)).double()
    randomise(units, stream(0, "units"))
    other = deepcopy(units)
    mean = torch.linspace(0.1, 0.3, units.size, dtype=torch.float64)
    other.initialise_bias(mean)
    between = field_between(units, mean)
    field = torch.randn(20, units.size, dtype=torch.float64)
    torch.testing.assert_close(units.mean(field + between), other.mean(field), rtol=0, atol=1e-12)
    assert not torch.allclose(units.mean(field), other.mean(field), atol=0.01)


def test_units_without_likelihoods_are_refused() -> None:
    rbm = RBM(Bernoulli(5), make_units("relu", 4))
    with pytest.raises(SettingError, match=r"relu units have no likelihood.*sampler=pcd"):
        TemperedChains(rbm, torch.zeros(3, 5), BETAS)
