"""Means and draws by block, computed in place and by parts: against softmax, and against the same one by one."""

import pytest
import torch
from torch import Tensor

from dbn.machine import cache
from dbn.models.units import MaxPooled
from dbn.random.streams import stream
from helpers import randomise


def by_softmax(units: MaxPooled, field: Tensor) -> Tensor:
    """Means of each block's units as torch's softmax over them and an off state of field zero gives them."""
    height, width, maps = units.shape
    pool, n = units.pool, len(field)
    fields = field.view(n, height // pool, pool, width // pool, pool, maps).transpose(2, 3) + units.bias
    flat = fields.reshape(n, -1, pool**2, maps)
    means = torch.cat([torch.zeros_like(flat[:, :, :1]), flat], 2).softmax(2)[:, :, 1:]
    return means.reshape(n, height // pool, width // pool, pool, pool, maps).transpose(2, 3).flatten(1)


@pytest.mark.parametrize(("shape", "pool"), [((4, 6, 3), 2), ((3, 6, 2), 3), ((2, 3, 4), 1)])
def test_means_are_the_softmax_of_blocks_and_draws_have_them(shape, pool) -> None:
    units, n = MaxPooled(shape, pool), 20_000
    randomise(units, stream(0, "bias"))
    field = 3 * torch.randn(1, units.size, generator=stream(1, "field"))
    expected = by_softmax(units, field)
    many = field.repeat(n, 1)
    mean, draws = torch.empty_like(many), torch.empty_like(many)
    with torch.no_grad():
        units.mean_and_sample(many, stream(2, "draws"), mean, draws)
        torch.testing.assert_close(mean, expected.expand(n, -1), rtol=1e-5, atol=1e-7)
        assert units.mean(many, out=many) is many  # in its own place
    assert torch.equal(many, mean)
    error = (expected * (1 - expected) / n).sqrt()
    assert ((draws.mean(0) - expected).abs() < 5 * error + 1e-6).all()
    assert set(units.states_above(draws).unique().tolist()) <= {0, 1}
    torch.testing.assert_close(units.mean(field), expected)  # with autograd


@pytest.mark.parametrize("members", [(), (2,)])
def test_parts_change_no_mean_and_draws_of_members_are_those_of_each_alone(members, monkeypatch) -> None:
    alone = [MaxPooled((8, 8, 6), 2) for _ in range(2)]
    for number, units in enumerate(alone):
        randomise(units, stream(number, "bias"))
    units = MaxPooled.group(alone) if members else alone[0]
    field = torch.randn(*members, 300, 384, generator=stream(2, "field"))
    noise = [stream(number, "draws") for number in range(2)]
    with torch.no_grad():
        at_once = units.mean(field)
        monkeypatch.setattr(cache, "NUMBERS", 384 * 120)  # two parts of 120 states and one of 60
        assert torch.equal(units.mean(field), at_once)
        draws = units.sample(field, noise if members else noise[0])
        for number in range(len(members) + 1):
            own = alone[number].sample(field[number] if members else field, stream(number, "draws"))
            assert torch.equal(draws[number] if members else draws, own)
        assert (draws.mean((-2, -1)) - at_once.mean((-2, -1))).abs().max() < 5 * (0.25 / 300 / 384) ** 0.5
