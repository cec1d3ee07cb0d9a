"""Confidence intervals of a mean: Student's t and the percentile bootstrap."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
"""Coverage of every interval."""
RESAMPLES = 9999
"""Bootstrap resamples."""


Statistic = Callable[..., np.ndarray]


@dataclass(frozen=True)
class ConfidenceInterval:
    """A two-sided confidence interval ``[low, high]``."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Estimate:
    """A mean over ``n`` seeds with its interval; None for one seed, which does not determine a spread."""

    mean: float
    n: int
    interval: ConfidenceInterval | None

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval, in the unit of the mean."""
        return None if self.interval is None else (self.interval.high - self.interval.low) / 2

    @property
    def degenerate(self) -> bool:
        """Whether the interval has no width, because every seed has the same value."""
        return self.half_width is not None and self.half_width <= 1e-9 * abs(self.mean)

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval of nonzero width and it lies on one side of zero."""
        return self.interval is not None and not self.degenerate and self.interval.excludes_zero


def estimate_mean(values: Sequence[float]) -> Estimate:
    r"""Mean with its 95 % t interval :math:`\bar x \pm t_{n-1} s / \sqrt n`, ``s`` the sample standard deviation.

    Args:
        values: one finite value per seed, at least one.

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
    half_width = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * math.sqrt(variance / n)
    return Estimate(mean, n, ConfidenceInterval(mean - half_width, mean + half_width))


def bootstrap_interval(samples: tuple[Sequence[float], ...], statistic: Statistic) -> ConfidenceInterval | None:
    """Percentile bootstrap interval of a statistic, with fixed random numbers so that it is reproducible.

    Args:
        samples: samples that are resampled independently, at least three values each.
        statistic: maps arrays with the samples along ``axis`` to their statistic.

    Returns:
        None for fewer than three values, or where no sample varies.
    """
    if min(map(len, samples)) < 3 or not any(map(varies, samples)):
        return None
    interval = stats.bootstrap(
        samples, statistic, vectorized=True, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return ConfidenceInterval(float(interval.low), float(interval.high))


def mean_along(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean as a statistic for :func:`bootstrap_interval`."""
    return np.asarray(values.mean(axis))


def varies(values: Sequence[float]) -> bool:
    """Whether there are at least two values that differ by more than rounding errors."""
    return len(values) > 1 and max(values) - min(values) > 1e-9 * max(map(abs, values))
