"""Group sequential tests: looking at a growing study several times without claiming more than at one look."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

Spending = Literal["obrien_fleming", "pocock"]
_REACH, _POINTS = 9.0, 2001


def spent(fraction: float, alpha: float, spending: Spending) -> float:
    r"""Probability of a false claim that may have been used up at a share of the planned seeds.

    O'Brien and Fleming's shape, :math:`2 - 2 \Phi(z_{\alpha/4} / \sqrt t)` for each side, is strict early and costs the
    last look almost nothing; Pocock's, :math:`\alpha \ln(1 + (e - 1) t)`, is even.

    Args:
        fraction: seeds so far, as a share of those planned, from above 0 to 1.
        alpha: level in all.
        spending: the shape.

    References:
        Lan & DeMets (1983), *Discrete sequential boundaries for clinical trials*, Biometrika 70:659.
    """
    fraction = min(fraction, 1.0)
    if spending == "pocock":
        return alpha * math.log(1 + (math.e - 1) * fraction)
    return float(4 * special.ndtr(special.ndtri(alpha / 4) / math.sqrt(fraction)))


def nominal_levels(fractions: Sequence[float], alpha: float, spending: Spending = "obrien_fleming") -> list[float]:
    """Level of a two-sided test at each look, so that the probability of any false claim follows the spending function.

    The statistics at the looks are normal with independent increments; their joint distribution while no boundary was
    crossed is integrated look by look. A t test uses the levels as they are: what its p value is compared with.

    Args:
        fractions: seeds at each look as shares of those planned, increasing, the last at most 1.
        alpha: level in all.
        spending: shape of the spending function.

    Raises:
        ValueError: the fractions do not increase or lie outside of (0, 1].

    References:
        Armitage, McPherson & Rowe (1969), *Repeated significance tests on accumulating data*; Jennison & Turnbull
        (2000), *Group sequential methods*, chapters 7 and 19.
    """
    if any(low >= high for low, high in zip([0.0, *fractions], fractions, strict=False)) or max(fractions) > 1:
        raise ValueError(f"looks at {fractions}: shares of the planned seeds, increasing, up to 1")
    levels, used = [], 0.0
    grid, density = np.zeros(1), np.ones(1)  # of the sum of increments, where no boundary was crossed
    before = 0.0
    for fraction in fractions:
        step = math.sqrt(fraction - before)
        target = spent(fraction, alpha, spending) - used
        beyond = partial(_crossed, grid=grid, density=density, step=step)
        bound = _solve(beyond, target, _REACH * math.sqrt(fraction))
        levels.append(float(2 * special.ndtr(-bound / math.sqrt(fraction))))
        used += beyond(bound)
        new = np.linspace(-bound, bound, _POINTS)
        weight = np.full(_POINTS, new[1] - new[0])
        weight[[0, -1]] /= 2
        kernel = np.exp(-0.5 * np.square((new[:, None] - grid) / step)) / (step * math.sqrt(2 * math.pi))
        grid, density = new, weight * (kernel @ density)
        before = fraction
    return levels


def _crossed(bound: float, grid: NDArray[np.float64], density: NDArray[np.float64], step: float) -> float:
    """Probability that a sum with this density lies beyond ``bound`` on either side after one more increment."""
    beyond = special.ndtr((-bound - grid) / step) + special.ndtr((grid - bound) / step)
    return float(density @ beyond)


def _solve(crossed: Callable[[float], float], target: float, high: float) -> float:
    """Boundary that is crossed with probability ``target``, by bisection."""
    low = 0.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if crossed(middle) > target else (low, middle)
    return (low + high) / 2
