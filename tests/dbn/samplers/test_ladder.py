"""Ladders of temperatures, for barriers that are known functions."""

import pytest
import torch
from torch import Tensor

from dbn.samplers.ladder import adapted_ladder, even_ladder, recommended_temperatures


def barrier(betas: Tensor) -> Tensor:
    """A barrier that rises most near 0.2."""
    return 2 * torch.sigmoid((betas - 0.2) / 0.05) + 0.5 * betas


def test_neighbours_come_to_swap_equally_often() -> None:
    """Where the rejections between two temperatures are the difference of their barriers."""
    betas = torch.tensor(even_ladder(12), dtype=torch.float64)
    before = barrier(betas).diff()
    for _ in range(6):
        betas = adapted_ladder(betas, barrier(betas).diff())
    after = barrier(betas).diff()
    assert float(before.max() / before.min()) > 15
    assert float(after.max() / after.min()) < 1.02
    assert (float(betas[0]), float(betas[-1])) == (0, 1)
    assert bool((betas.diff() > 0).all())


def test_pairs_that_always_swap_do_not_collapse() -> None:
    betas = adapted_ladder(torch.tensor(even_ladder(5)), torch.tensor([0.0, 0.0, 0.9, 0.0]))
    assert bool((betas.diff() > 0).all())
    assert betas.dtype == torch.float32
    assert torch.equal(adapted_ladder(betas, torch.zeros(4)), adapted_ladder(betas, torch.full((4,), 1e-4)))


@pytest.mark.parametrize(("total", "number"), [(0.0, 2), (0.4, 2), (0.5, 2), (0.6, 3), (3.0, 7), (7.2, 16)])
def test_half_of_the_swaps_are_rejected_with_the_recommended_number(total: float, number: int) -> None:
    """With one temperature less, more than half."""
    assert recommended_temperatures(total) == number
    assert total / (number - 1) <= 0.5
    assert number == 2 or total / (number - 2) > 0.5
