"""Means and paired differences over seeds, each with a Student t interval.

Two arms with the same seed saw the same split, label subset and order of images, so arms are compared by the
differences seed by seed: what the seed does to both cancels.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A two-sided confidence interval ``[low, high]``."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Estimate:
    """A mean over ``n`` seeds; ``interval`` is None for one seed, which says nothing about spread."""

    mean: float
    n: int
    interval: Interval | None

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval, in the unit of the mean."""
        return None if self.interval is None else (self.interval.high - self.interval.low) / 2


@dataclass(frozen=True)
class PairedDifference:
    """Mean of ``a - b`` over the seeds that both arms have."""

    seeds: tuple[int, ...]
    estimate: Estimate

    @property
    def degenerate(self) -> bool:
        """Whether every seed shows the same difference, so that its spread cannot be estimated.

        Errors on a small test set are multiples of ``1 / n_test``: two or three seeds easily agree by chance, and the
        t interval then has no width. That is too little to call a difference settled.
        """
        half_width = self.estimate.half_width
        return half_width is not None and half_width <= 1e-9 * abs(self.estimate.mean)

    @property
    def settled(self) -> bool:
        """Whether there is an interval, with a width, and it excludes zero."""
        interval = self.estimate.interval
        return interval is not None and interval.excludes_zero and not self.degenerate


def estimate_mean(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    r"""Mean with its t interval :math:`\bar x \pm t_{n-1} s / \sqrt n`, ``s`` the sample standard deviation.

    Args:
        values: one finite value per seed, at least one.
        confidence: probability that the interval covers the mean, if values are normal.

    Raises:
        ValueError: ``values`` is empty.
    """
    n = len(values)
    if n == 0:
        raise ValueError("the mean of no values is not defined")
    mean = math.fsum(values) / n
    if n == 1:
        return Estimate(mean, 1, None)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    half_width = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * math.sqrt(variance / n)
    return Estimate(mean, n, Interval(mean - half_width, mean + half_width))


def paired_difference(
    a: Mapping[int, float], b: Mapping[int, float], confidence: float = CONFIDENCE
) -> PairedDifference | None:
    """Mean and t interval of ``a[seed] - b[seed]`` over common seeds; None where there is no common seed."""
    seeds = tuple(sorted(a.keys() & b.keys()))
    if not seeds:
        return None
    return PairedDifference(seeds, estimate_mean([a[seed] - b[seed] for seed in seeds], confidence))
