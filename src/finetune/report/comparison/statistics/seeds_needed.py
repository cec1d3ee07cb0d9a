"""How many seeds would settle a difference: power analysis of the paired t interval."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from finetune.report.comparison.statistics.intervals import CONFIDENCE, varies
from finetune.report.comparison.statistics.mean_difference import MeanDifference

MAX_SEEDS = 1000
"""Larger numbers of seeds are not reported."""
POWER = 0.8
"""Probability with which the interval has to exclude zero."""


def seeds_needed(differences: Sequence[float]) -> int | None:
    """Smallest number of seeds whose paired t interval would exclude zero, with mean and spread as observed.

    Args:
        differences: one per seed.

    Returns:
        At least two; None where more than :data:`MAX_SEEDS` are needed, or where the differences do not determine it:
        fewer than two, no spread, or a mean of zero.

    References:
        Colas, Sigaud & Oudeyer (2018), *How many random seeds?*, arXiv:1806.08295; power by the noncentral t.
    """
    if not varies(differences):
        return None
    effect = abs(float(np.mean(differences))) / float(np.std(differences, ddof=1))
    if effect == 0:
        return None

    def power_of(n: int) -> float:
        critical = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1))
        return float(stats.nct.sf(critical, n - 1, effect * math.sqrt(n)))

    if power_of(MAX_SEEDS) < POWER:
        return None
    low, high = 1, MAX_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(middle) >= POWER else (middle, high)
    return high


def seeds_to_settle(difference: MeanDifference) -> int | None:
    """Number of seeds, more than there are, that would settle an unsettled difference; see :func:`seeds_needed`.

    Returns:
        None where the difference is settled or not paired, or where :func:`seeds_needed` is None.
    """
    if difference.settled or not difference.paired:
        return None
    needed = seeds_needed(difference.values)
    return None if needed is None else max(needed, len(difference.seeds) + 1)
