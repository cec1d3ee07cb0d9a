"""The expected best value of k trials of a random search, from n that were run."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from finetune.report.comparison.statistics.intervals import CONFIDENCE, ConfidenceInterval

RESAMPLES = 2000
"""Bootstrap resamples of the trials."""


def expected_best(values: Sequence[float]) -> list[float]:
    r"""Expected minimum of ``k`` trials, for k = 1, ..., n: the mean of the minima of all subsets of k of the n values.

    With :math:`v_1 \le \dots \le v_n`, of :math:`\binom{n}{k}` subsets :math:`\binom{n - i}{k - 1}` have the minimum
    :math:`v_i`. As a U statistic it is unbiased; the form with replacement (Dodge et al. 2019, equation 7) is not: a
    subset then may hold the same trial twice.

    References:
        Hoeffding (1948), *A class of statistics with asymptotically normal distribution*; Tang et al. (2020), *Showing
        your work doesn't always work*, ACL, on the bias of the other form.
    """
    return [float(value) for value in _weights(len(values)) @ np.sort(values)]


def expected_best_intervals(values: Sequence[float]) -> list[ConfidenceInterval | None]:
    """95 % percentile bootstrap intervals of :func:`expected_best` over trials, with a fixed seed.

    None for more than a third of the trials: their minima rest on a few values, which say little about their own spread
    (with 24 exponential values the intervals cover 92 % for one trial, 91 % for 6, but 82 % for 12).
    """
    n = len(values)
    rng = np.random.default_rng(0)
    resamples = np.sort(np.asarray(values, float)[rng.integers(0, n, (RESAMPLES, n))])
    found = resamples @ _weights(n)[: n // 3].T
    low, high = np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    intervals = [ConfidenceInterval(float(a), float(b)) for a, b in zip(low, high, strict=True)]
    return [*intervals, *[None] * (n - n // 3)]


def _weights(n: int) -> NDArray[np.float64]:
    """Weight of the i-th smallest value in the expected minimum of k, ``(n, n)`` by k and i."""
    k, i = np.arange(1, n + 1)[:, None], np.arange(1, n + 1)
    weights: NDArray[np.float64] = special.comb(n - i, k - 1) / special.comb(n, k)
    return weights
