"""How many seeds would settle a difference: power of the t interval, for the spread's own confidence limits."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from finetune.report.comparison.statistics.intervals import CONFIDENCE, varies
from finetune.report.comparison.statistics.mean_difference import MeanDifference

MAX_SEEDS = 1000
"""Larger numbers of seeds are not reported."""
POWER = 0.8
"""Probability with which the difference has to be settled."""


@dataclass(frozen=True)
class SeedsNeeded:
    """Numbers of seeds for the lower and the upper 95 % confidence limit of the standard deviation over seeds.

    None stands for more than :data:`MAX_SEEDS`.
    """

    low: int | None
    high: int | None


def seeds_needed(mean: float, spread: float, level: float, image_part: float = 0.0) -> int | None:
    """Smallest number of seeds with which a two-sided t test rejects zero with probability :data:`POWER`.

    Args:
        mean: true difference.
        spread: true standard deviation of the differences over seeds, for the test images as they are.
        level: level of the test.
        image_part: standard error from the sample of test images, which more seeds do not make smaller.

    Returns:
        At least two; None where more than :data:`MAX_SEEDS` are needed.

    References:
        Colas, Sigaud & Oudeyer (2018), *How many random seeds?*, arXiv:1806.08295; power by the noncentral t.
    """

    def power_of(n: int) -> float:
        error = math.hypot(spread / math.sqrt(n), image_part)
        critical = float(stats.t.isf(level / 2, n - 1))
        return float(stats.nct.sf(critical, n - 1, abs(mean) / error))

    if mean == 0 or power_of(MAX_SEEDS) < POWER:
        return None
    low, high = 1, MAX_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(middle) >= POWER else (middle, high)
    return high


def seeds_to_settle(difference: MeanDifference, level: float) -> SeedsNeeded | None:
    """Numbers of seeds that would settle a difference, if the true difference is the observed one.

    The standard deviation over seeds is taken at both its 95 % confidence limits (chi-squared, normal differences):
    from three seeds they differ by a factor of 12, from ten by 2.7, and the numbers of seeds by about its square.

    Args:
        difference: the difference.
        level: level of the test, after correction for the family.

    Returns:
        None without at least three paired differences that vary.
    """
    n = len(difference.seeds)
    if n < 3 or not varies(difference.values):
        return None
    mean, spread = difference.estimate.mean, float(np.std(difference.values, ddof=1))
    limits = [
        spread * math.sqrt((n - 1) / float(stats.chi2.ppf(share, n - 1)))
        for share in ((1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2)
    ]
    low, high = (seeds_needed(mean, limit, level, difference.image_part) for limit in limits)
    return SeedsNeeded(low, high)
