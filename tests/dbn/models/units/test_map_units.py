"""Units of feature maps: against enumeration, and what the layer above sees of blocks."""

import math
from functools import partial
from typing import Any

import pytest
import torch

from dbn import RBM, Bernoulli
from dbn.errors import SettingError
from dbn.models.connections import Convolution
from dbn.models.units import MaxPooled, PerMap, make_units
from helpers import randomise

SHAPE = (2, 4, 1)


def pooled(shape=SHAPE, pool=2) -> MaxPooled:
    units = MaxPooled(shape, pool).double()
    randomise(units, torch.Generator().manual_seed(1))
    return units


def test_at_most_one_unit_of_a_block_is_on_with_the_probabilities_of_the_enumeration() -> None:
    units, n = pooled((2, 2, 2)), 200_000
    states = units.states()
    assert len(states) == len(states.unique(dim=0)) == 5**2
    field = 2 * torch.randn(8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    minus_energy = states @ field - units.energy(states)
    assert units.log_partition(field[None]).item() == pytest.approx(torch.logsumexp(minus_energy, 0).item(), abs=1e-12)
    probability = torch.softmax(minus_energy, 0)
    mean = probability @ states
    torch.testing.assert_close(units.mean(field[None])[0], mean, rtol=0, atol=1e-12)
    draws = units.sample(field.expand(n, -1), torch.Generator().manual_seed(3)).detach()
    maps = draws.view(n, 4, 2).sum(1)
    assert set(maps.unique().tolist()) == {0, 1}
    together = torch.einsum("s,si,sj->ij", probability, states, states)
    error = (together * (1 - together) / n).sqrt().clamp(min=1e-12)
    assert ((draws.T @ draws / n - together).abs() / error).max() < 5
    on = 1 - torch.tensor([float(probability[states.view(-1, 4, 2)[:, :, m].sum(1) == 0].sum()) for m in (0, 1)])
    torch.testing.assert_close(units.outputs(field[None])[0].detach().float(), on, rtol=0, atol=1e-6)


def test_large_fields_neither_overflow_nor_turn_two_units_on() -> None:
    units = MaxPooled(SHAPE, 2)
    field = 300 * torch.randn(5000, 8, generator=torch.Generator().manual_seed(4))
    assert units.mean(field).isfinite().all()
    assert units.log_partition(field).isfinite().all()
    draws = units.sample(field, torch.Generator().manual_seed(5)).view(-1, 2, 2, 2).sum((1, 3))
    assert set(draws.unique().tolist()) == {0, 1}


def test_downwards_a_pooling_unit_turns_on_one_unit_of_its_block_any_with_the_same_probability() -> None:
    units, n = pooled((4, 4, 1)), 40_000
    outputs = torch.tensor([1.0, 0.0, 1.0, 0.0]).double().expand(n, -1)
    below = units.states_below(outputs, torch.Generator().manual_seed(6))
    by_block = below.view(n, 2, 2, 2, 2).transpose(2, 3).reshape(n, 4, 4)
    assert torch.equal(by_block.sum(2), outputs)
    frequency, error = by_block[:, [0, 2]].mean(0), math.sqrt(0.25 * 0.75 / n)
    assert ((frequency - 0.25).abs() < 5 * error).all()
    torch.testing.assert_close(units.spread(outputs[:1]), below.mean(0, keepdim=True), rtol=0, atol=5 * error)


def test_upwards_a_pooling_unit_is_on_where_a_unit_of_its_block_is() -> None:
    units, n = pooled((4, 4, 1)), 40_000
    field = torch.randn(1, 16, generator=torch.Generator().manual_seed(7), dtype=torch.float64).expand(n, -1)
    x = units.sample(field, torch.Generator().manual_seed(8))
    above = units.states_above(x)
    assert torch.equal(above, x.view(n, 2, 2, 2, 2).amax((2, 4)).flatten(1))
    probability = units.outputs(field[:1]).detach()
    error = (probability * (1 - probability) / n).sqrt()
    assert ((above.mean(0) - probability).abs() < 5 * error).all()


@pytest.mark.parametrize("pool", [0, -1, "2", 1.5])
@pytest.mark.parametrize("kind", [MaxPooled, partial(PerMap, units="relu")])
def test_a_pool_that_is_none_is_refused(kind: Any, pool: Any) -> None:
    with pytest.raises(SettingError, match=r"pool=.*whole number from 1"):
        kind((4, 4, 2), pool=pool)


def test_units_that_lie_otherwise_than_the_connection_says_are_refused() -> None:
    connection = Convolution((3, 4, 4), maps=2, kernel=3, padding=1, maps_first=True)
    with pytest.raises(SettingError, match=r"hidden=.*out as \(4, 4, 2\), these lie as \(2, 8, 2\)"):
        RBM(Bernoulli((3, 4, 4)), MaxPooled((2, 8, 2)), connection)
    with pytest.raises(SettingError, match=r"visible=.*out as \(3, 4, 4\), these lie as \(4, 4, 3\)"):
        RBM(Bernoulli((4, 4, 3)), MaxPooled((4, 4, 2)), connection)


def test_upwards_the_largest_state_of_a_block_is_seen() -> None:
    x = torch.randn(5, 72, generator=torch.Generator().manual_seed(2)).relu()
    expected = x.view(5, 2, 2, 3, 2, 3).amax((2, 4)).flatten(1)
    assert torch.equal(PerMap((4, 6, 3), "relu", pool=2).states_above(x), expected)
    assert torch.equal(PerMap((4, 6, 3), "relu").states_above(x), x)


@pytest.mark.parametrize("kind", ["bernoulli", "relu"])
def test_the_layer_above_sees_the_largest_mean_of_a_block(kind: str) -> None:
    units = PerMap((4, 6, 3), kind, pool=2).double()
    randomise(units, torch.Generator().manual_seed(1))
    field = torch.randn(5, 72, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    largest = units.mean(field).view(5, 2, 2, 3, 2, 3).amax((2, 4)).flatten(1)
    torch.testing.assert_close(units.outputs(field), largest, rtol=0, atol=1e-12)
    assert units.output_shape == (2, 3, 3)
    spread = units.spread(largest).view(5, 2, 2, 3, 2, 3)
    torch.testing.assert_close(spread.sum((2, 4)).flatten(1), largest, rtol=0, atol=1e-12)


@pytest.mark.parametrize("units", [pooled(), PerMap(SHAPE, "bernoulli").double()])
def test_biases_from_means_give_these_means(units) -> None:
    wanted = torch.full((8,), 0.2, dtype=torch.float64)
    units.initialise_bias(wanted)
    torch.testing.assert_close(units.mean(torch.zeros(1, 8).double())[0].detach(), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", [lambda: pooled((2, 2, 3)), lambda: PerMap((2, 2, 3), "gaussian_with_variance")])
def test_members_of_a_group_are_its_memory(make) -> None:
    members = [make().double(), make().double()]
    for seed, own in enumerate(members):
        randomise(own, torch.Generator().manual_seed(seed))
    group = type(members[0]).group(members)
    field = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for number, own in enumerate(members):
        torch.testing.assert_close(group.mean(field)[number], own.mean(field[number]), rtol=0, atol=1e-14)
        torch.testing.assert_close(group.member(number).mean(field[0]), own.mean(field[0]), rtol=0, atol=0)
    with torch.no_grad():
        for parameter in group.parameters():
            parameter[1] = 0.5
    for number in (0, 1):
        assert all(bool((p == 0.5).all()) == (number == 1) for p in group.member(number).parameters())


def test_shapes_that_have_no_maps_are_refused() -> None:
    with pytest.raises(SettingError, match="max_pooled: it needs units that lie as pictures"):
        make_units("max_pooled", 12)
    with pytest.raises(SettingError, match=r"32 blocks of 4 units have 5\^32 states"):
        MaxPooled((8, 8, 2), 2).states()
