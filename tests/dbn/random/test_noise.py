"""Binary noise: every unit with its own probability, independent of the others."""

import pytest
import torch

from dbn.random.noise import SMALL, bernoulli, normal, uniform, uniform_in_rows
from dbn.random.streams import stream

PROBABILITIES = [2**-20, 2**-17, 1e-3, 0.1, 0.25, 1 / 3, 0.5, 0.7, 1 - 2**-17]


def test_each_unit_has_its_own_probability() -> None:
    """Within five standard errors of forty million draws: the two smallest are below what 16 bits alone can tell."""
    mean = torch.tensor(PROBABILITIES).expand(SMALL, -1)
    generator, rounds = stream(0, "noise"), 5000
    ones = sum(bernoulli(mean, generator).sum(0).double() for _ in range(rounds))
    n, p = SMALL * rounds, torch.tensor(PROBABILITIES, dtype=torch.float64)
    assert ((ones / n - p).abs() < 5 * (p * (1 - p) / n).sqrt()).all()


def test_units_are_independent_within_and_between_rows() -> None:
    """Correlations of two million draws stay within five standard errors of zero, neighbours of one word included."""
    draws = bernoulli(torch.full((500_000, 8), 0.3), stream(1, "noise"))
    correlation = torch.corrcoef(draws.T) - torch.eye(8)
    assert correlation.abs().max() < 5 / 500_000**0.5
    column = draws[:, 0] - draws[:, 0].mean()
    assert (column[1:] * column[:-1]).mean().abs() / column.var() < 5 / 500_000**0.5


@pytest.mark.parametrize("rows", [10, SMALL])
def test_certainties_are_kept(rows: int) -> None:
    mean = torch.tensor([0.0, 1.0]).repeat(rows, 1)
    for round_ in range(50):
        assert torch.equal(bernoulli(mean, stream(round_, "noise")), mean)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_out_may_be_the_mean_itself(dtype: torch.dtype) -> None:
    mean = torch.rand(SMALL // 4, 5, dtype=dtype)
    expected = bernoulli(mean, stream(0, "noise"))
    assert bernoulli(mean, stream(0, "noise"), out=mean) is mean
    assert torch.equal(mean, expected)
    assert expected.dtype == dtype


@pytest.mark.parametrize("rows", [3, SMALL])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_members_of_a_group_draw_what_they_would_draw_alone(rows: int, dtype: torch.dtype) -> None:
    mean = torch.rand(4, rows, 5, dtype=dtype)
    for draw in (bernoulli, uniform, uniform_in_rows, normal):
        together = draw(mean, [stream(seed, "noise") for seed in range(4)])
        alone = torch.stack([draw(mean[seed], stream(seed, "noise")) for seed in range(4)])
        assert torch.equal(together, alone)
        assert together.dtype == dtype


def test_numbers_of_rows_are_uniform_and_independent() -> None:
    """Moments, neighbours and the grid of 2^-24 of eight million numbers, within five standard errors."""
    like = torch.empty(SMALL, 1000)
    numbers = uniform_in_rows(like, stream(0, "noise"))
    n = numbers.numel()
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert torch.equal((numbers * 2**24).round() / 2**24, numbers)
    assert len((numbers[0] * 2**24 % 256).unique()) == 1  # a row shares its lower eight bits
    assert len((numbers[:, 0] * 2**24 % 256).unique()) == 256
    centred = numbers.double() - 0.5
    assert centred.mean().abs() < 5 * (1 / 12 / n) ** 0.5
    assert (centred.square().mean() - 1 / 12).abs() < 5 * (1 / 180 / n) ** 0.5
    for one, other in ((centred[:, 1:], centred[:, :-1]), (centred[1:], centred[:-1])):
        assert (one * other).mean().abs() < 5 / 12 / n**0.5
