"""The ladder of inverse temperatures: how many are needed, and where they should lie."""

import math

import numpy as np
import torch
from torch import Tensor

SMALLEST_REJECTION = 1e-3
"""Rejections below this are taken for it: a pair that always swaps must not collapse."""


def even_ladder(n: int) -> list[float]:
    """``n`` inverse temperatures, evenly from 0 to 1."""
    return [k / (n - 1) for k in range(n)]


def adapted_ladder(betas: Tensor, rejections: Tensor) -> Tensor:
    r"""Inverse temperatures between which swaps are rejected equally often.

    The communication barrier up to a temperature, :math:`\Lambda(\beta)`, is the sum of the rejections below it, and
    linear between the present temperatures. The new ones divide it evenly.

    Args:
        betas: present ones ``(n,)``, rising from 0 to 1.
        rejections: mean probability of each pair not to swap ``(n - 1,)``.

    Returns:
        ``(n,)``, rising from 0 to 1, of the dtype and on the device of ``betas``.

    References:
        Syed et al. (2022), *Non-reversible parallel tempering*, JRSS B 84:321.
    """
    each = rejections.double().cpu().numpy().clip(min=SMALLEST_REJECTION)
    barrier = np.concatenate([[0.0], np.cumsum(each)])
    even = np.linspace(0, barrier[-1], len(barrier))
    found = np.interp(even, barrier, betas.double().cpu().numpy())
    found[0], found[-1] = 0, 1
    return torch.from_numpy(found).to(betas)


def recommended_temperatures(barrier: float) -> int:
    """Number of temperatures with which a row makes most round trips for its operations, from 2.

    There are two intervals for each unit of the barrier, so that half of the swaps are rejected.

    Args:
        barrier: the global communication barrier, the sum of the rejections of all pairs.

    References:
        Syed et al. (2022).
    """
    return max(2, math.ceil(2 * barrier) + 1)
