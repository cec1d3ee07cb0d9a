"""Wilcoxon's signed-rank test of paired differences, exact also where differences tie."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

MAX_EXACT = 50
"""Number of differences up to which the test is exact: counts up to 2^50 are exact in float64."""
SIGNIFICANT_DIGITS = 9
"""Decimal places, relative to the largest difference, that differences are rounded to before ranking.

Error rates are multiples of 1 / n_test, so that differences often tie; in floating point 0.3 - 0.2 is not 0.2 - 0.1,
and the last bit would decide their ranks.
"""


def signed_rank_test(differences: Sequence[float]) -> float | None:
    """Two-sided p value: fraction of sign patterns whose rank sum is at least as far from its mean as the observed one.

    Zero differences are left out (Wilcoxon's rule), ties share their mean rank. With five seeds the smallest possible p
    is 1/16. Beyond 50 differences the normal approximation is used.

    Returns:
        None where all differences are zero.

    References:
        Wilcoxon (1945), *Individual comparisons by ranking methods*, Biometrics Bulletin 1:80. Pratt & Gibbons (1981),
        *Concepts of nonparametric theory*, chapter 3, on ties.
    """
    values = np.asarray(differences, float)
    largest = np.abs(values).max(initial=0.0)
    if largest == 0:
        return None
    values = np.round(values / largest, SIGNIFICANT_DIGITS)
    values = values[values != 0]
    if len(values) > MAX_EXACT:
        return float(stats.wilcoxon(values, method="asymptotic").pvalue)
    ranks = np.rint(2 * stats.rankdata(np.abs(values))).astype(np.int64)  # doubled: mean ranks are multiples of 1/2
    patterns = _patterns_by_sum(ranks)
    distance = np.abs(2 * np.arange(len(patterns)) - ranks.sum())  # of each sum from the mean, doubled again
    observed = abs(int((np.sign(values) * ranks).sum()))
    return float(patterns[distance >= observed].sum() / patterns.sum())


def _patterns_by_sum(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Number of subsets of the ranks with each sum, from 0 to the sum of all ranks."""
    patterns = np.zeros(int(ranks.sum()) + 1)
    patterns[0] = 1
    for rank in ranks:
        patterns[rank:] += patterns[:-rank].copy()
    return patterns
