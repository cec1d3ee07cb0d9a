"""Wilcoxon's signed-rank test of paired differences, exact where differences tie, too."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

MOST_EXACT = 50
"""Differences up to which the distribution is enumerated: its 2^50 sign patterns are counted without rounding."""
DIGITS = 9
"""To so many places of the largest difference two of them are told apart.

Error rates are multiples of 1 / n_test, so that differences tie often; as floating-point numbers they do not, as
0.3 - 0.2 is not 0.2 - 0.1, and ranks would go by the last bit.
"""


def signed_rank_test(differences: Sequence[float]) -> float | None:
    """Two-sided p value: how many of all sign patterns have a rank sum as far from its mean as the one seen.

    Zero differences are left out (Wilcoxon's own rule), those of one size share the mean of their ranks. With five
    seeds the smallest p there can be is 1/16. Beyond 50 differences it is the normal approximation.

    Returns:
        None where no difference is left.

    References:
        Wilcoxon (1945), *Individual comparisons by ranking methods*, Biometrics Bulletin 1:80. Pratt & Gibbons (1981),
        *Concepts of nonparametric theory*, chapter 3, on ties.
    """
    values = np.asarray(differences, float)
    largest = np.abs(values).max(initial=0.0)
    if largest == 0:
        return None
    values = np.round(values / largest, DIGITS)
    values = values[values != 0]
    if len(values) > MOST_EXACT:
        return float(stats.wilcoxon(values, method="asymptotic").pvalue)
    ranks = np.rint(2 * stats.rankdata(np.abs(values))).astype(np.int64)  # doubled: means of ranks are halves
    patterns = _patterns_by_sum(ranks)
    distance = np.abs(2 * np.arange(len(patterns)) - ranks.sum())  # of each sum from the mean, doubled once more
    seen = abs(int((np.sign(values) * ranks).sum()))
    return float(patterns[distance >= seen].sum() / patterns.sum())


def _patterns_by_sum(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """How many subsets of the ranks have each sum, from 0 to that of all."""
    patterns = np.zeros(int(ranks.sum()) + 1)
    patterns[0] = 1
    for rank in ranks:
        patterns[rank:] += patterns[:-rank].copy()
    return patterns
