"""Estimates with 95 % intervals: of means, of logs of means, and of differences of such."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dbn.random.streams import stream

LEVEL = 0.95
"""Confidence level of all intervals."""
RESAMPLES = 2000
FEWEST = 10
"""Values that a bootstrap interval needs at least: resamples of fewer are too often the same value only."""


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval.

    Attributes:
        value: the estimate.
        low: lower limit; NaN where there is none.
        high: upper limit; NaN where there is none.
    """

    value: float
    low: float = math.nan
    high: float = math.nan

    def __neg__(self) -> "Estimate":
        """The estimate of the negative."""
        return Estimate(-self.value, -self.high, -self.low)

    def __sub__(self, other: "Estimate") -> "Estimate":
        r"""The difference of two independent estimates.

        Its interval has the limits :math:`\hat a - \hat b \mp \sqrt{d_a^2 + d_b^2}`, where :math:`d` are the distances
        of the estimates from those limits of their own that move the difference the same way.

        References:
            Zou & Donner (2008), *Construction of confidence limits about effect measures*, Statistics in Medicine
            27:1693.
        """
        value = self.value - other.value
        return Estimate(
            value,
            value - math.hypot(self.value - self.low, other.high - other.value),
            value + math.hypot(self.high - self.value, other.value - other.low),
        )

    def __contains__(self, value: float) -> bool:
        """Whether the interval holds ``value``."""
        return self.low <= value <= self.high


def exactly(value: float) -> Estimate:
    """A number that is known: its interval is the number."""
    return Estimate(value, value, value)


def estimate_mean(values: Tensor) -> Estimate:
    """Mean of independent values ``(n,)``, with Student's interval; without one for a single value."""
    n, mean = len(values), float(values.double().mean())
    if n < 2:
        return Estimate(mean)
    from scipy.special import stdtrit  # here: training imports this module, and has no use for scipy

    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * float(values.double().std()) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half)


def estimate_log_mean(log_values: Tensor, seed: int = 0) -> Estimate:
    r"""Log of the mean of independent positive values, given their logs ``(n,)``, with a bootstrap-t interval.

    Values that vary over orders of magnitude, as importance weights do, make the log of their mean a skewed estimate,
    whose error is smallest in just the samples where it is lowest. So the bootstrap is applied to the studentised
    estimate :math:`(\log\bar w^* - \log\bar w) / s^*`, with the delta method's :math:`s = s_w / (\bar w \sqrt n)`.

    Args:
        log_values: ``(n,)``.
        seed: of the resampling: the same values always have the same interval.

    Returns:
        The estimate; its interval is NaN for fewer than 10 values.

    References:
        Efron & Tibshirani (1993), *An introduction to the bootstrap*, section 12.5.
    """
    logs = log_values.detach().double().cpu()
    n, largest = len(logs), logs.max()
    w = (logs - largest).exp()
    value = float(largest + w.mean().log())
    if n < FEWEST:
        return Estimate(value)
    error = float(w.std() / w.mean()) / math.sqrt(n)
    if error == 0:
        return exactly(value)
    generator = stream(seed, "bootstrap")
    ratios = []
    for _ in range(8):  # a part of the resamples at a time, to stay small in memory
        drawn = w[torch.randint(n, (RESAMPLES // 8, n), generator=generator)]
        means = drawn.mean(1)
        spread = drawn.std(1) / means / math.sqrt(n)
        ratios.append((means / w.mean()).log() / spread.clamp(min=1e-300))
    ends = torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2], dtype=torch.float64)
    low, high = torch.cat(ratios).quantile(ends).tolist()
    return Estimate(value, value - high * error, value - low * error)
