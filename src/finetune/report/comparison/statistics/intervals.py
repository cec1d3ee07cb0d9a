"""Intervals of a mean: Student's t over seeds, or over seeds and test images together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scipy import special

CONFIDENCE = 0.95
"""Coverage of every interval."""


@dataclass(frozen=True)
class ConfidenceInterval:
    """A two-sided confidence interval ``[low, high]``."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0

    def within(self, margin: float) -> bool:
        """Whether the whole interval lies between ``-margin`` and ``margin``."""
        return -margin < self.low and self.high < margin


@dataclass(frozen=True)
class Estimate:
    """A mean over ``n`` seeds with its interval; None for one seed, which does not determine a spread.

    Attributes:
        seed_error: standard error over seeds, for the test images as they are; None for one seed.
        image_error: standard error over test images, for the networks as they are; None where the interval knows of
            seeds alone.
        n_images: number of test images; None where the interval knows of seeds alone.
    """

    mean: float
    n: int
    interval: ConfidenceInterval | None
    seed_error: float | None = None
    image_error: float | None = None
    n_images: int | None = None

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval, in the unit of the mean."""
        return None if self.interval is None else (self.interval.high - self.interval.low) / 2

    @property
    def symmetric(self) -> bool:
        """Whether the mean lies in the middle of the interval, as it does unless the interval was cut at zero."""
        if self.interval is None:
            return False
        return math.isclose(self.interval.low + self.interval.high, 2 * self.mean, rel_tol=1e-9, abs_tol=1e-15)

    @property
    def degenerate(self) -> bool:
        """Whether the interval has no width, because every seed (and image) has the same value."""
        return self.half_width is not None and self.half_width <= 1e-9 * abs(self.mean)

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval of nonzero width and it lies on one side of zero."""
        return self.interval is not None and not self.degenerate and self.interval.excludes_zero

    def not_below_zero(self) -> "Estimate":
        """The estimate of a quantity that cannot be negative, such as an error: its interval begins at zero at lowest.

        A 95 % interval less values that are impossible covers the truth as often as before.
        """
        if self.interval is None or self.interval.low >= 0:
            return self
        return replace(self, interval=ConfidenceInterval(0.0, max(self.interval.high, 0.0)))


def t_quantile(freedom: float, confidence: float = CONFIDENCE) -> float:
    """Two-sided quantile of Student's t: 2.776 for 4 degrees of freedom and 95 %."""
    return float(special.stdtrit(freedom, (1 + confidence) / 2))


def t_p_value(t: float, freedom: float) -> float:
    """Two-sided p value of a t statistic."""
    return float(2 * special.stdtr(freedom, -abs(t)))


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
    error = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n)
    half_width = t_quantile(n - 1) * error
    return Estimate(mean, n, ConfidenceInterval(mean - half_width, mean + half_width), error)


def varies(values: Sequence[float]) -> bool:
    """Whether there are at least two values that differ by more than rounding errors."""
    return len(values) > 1 and max(values) - min(values) > 1e-9 * max(map(abs, values))
