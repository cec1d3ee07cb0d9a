"""Means and draws of binary units of which at most one in a block of a map is on, in place and without autograd.

Everything is computed in the order of memory, rows of a block before its columns, where runs are long: torch's
operations on single places of blocks take three times as long.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dbn.models.pooling import blocks

LOG2_E = 1 / math.log(2)


def fields_to_means(x: Tensor, shape: Sequence[int], pool: int) -> None:
    r"""Turn fields with biases into means :math:`e^{f_i} / (1 + \sum_{j \in B} e^{f_j})`.

    Args:
        x: fields ``(..., n)``, contiguous; overwritten.
        shape: of the units, (height, width, maps).
        pool: side of a block.
    """
    by_block = blocks(x, shape, pool)
    over_rows = by_block[..., 0, :, :, :].clamp(min=0)  # not being on has the field zero
    for row in range(1, pool):
        torch.maximum(over_rows, by_block[..., row, :, :, :], out=over_rows)
    largest = over_rows[..., 0, :].clone(memory_format=torch.contiguous_format)
    for column in range(1, pool):
        torch.maximum(largest, over_rows[..., column, :], out=largest)
    by_block.sub_(_for_each_unit(largest, pool))
    x.mul_(LOG2_E).exp2_()  # torch takes a third of the time that it takes for powers of e, on an AMD EPYC (Zen 4)
    over_rows.copy_(by_block[..., 0, :, :, :])
    for row in range(1, pool):
        over_rows.add_(by_block[..., row, :, :, :])
    total = largest.mul_(-LOG2_E).exp2_()
    for column in range(pool):
        total.add_(over_rows[..., column, :])
    by_block.div_(_for_each_unit(total, pool))


def means_to_states(x: Tensor, point: Tensor, shape: Sequence[int], pool: int) -> None:
    """Turn means into zeros and ones: of each block the unit at whose place the cumulated means exceed its point.

    Args:
        x: means ``(..., n)``, contiguous; overwritten.
        point: uniform numbers in [0, 1), one for each block, ``(..., height / pool, width / pool, maps)``.
        shape: of the units, (height, width, maps).
        pool: side of a block.
    """
    by_block = blocks(x, shape, pool)
    for column in range(1, pool):
        by_block[..., column, :].add_(by_block[..., column - 1, :])
    for row in range(1, pool):
        by_block[..., row, :, :, :].add_(by_block[..., row - 1, :, pool - 1 :, :])
    torch.lt(_for_each_unit(point, pool), by_block, out=by_block)  # ones from the one that is on
    places = [by_block[..., row, :, column, :] for row in range(pool) for column in range(pool)]
    for number in range(len(places) - 1, 0, -1):
        places[number].sub_(places[number - 1])


def _for_each_unit(values: Tensor, pool: int) -> Tensor:
    """Blocks' values ``(..., rows, columns, maps)`` beside their units ``(..., rows, pool, columns, pool, maps)``."""
    wide: Tensor = torch.cat([values] * pool, -1).unflatten(-1, (pool, values.shape[-1]))
    return wide.unsqueeze(-4)  # the same for all rows of a block
