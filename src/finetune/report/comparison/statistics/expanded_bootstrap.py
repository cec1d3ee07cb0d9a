"""Bootstrap intervals of statistics of seeds' means, widened for few seeds."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import special

from finetune.report.comparison.statistics.intervals import ConfidenceInterval, t_quantile

RESAMPLES = 9999
"""Bootstrap resamples of the seeds."""


def expanded_percentiles(n: int) -> tuple[float, float]:
    r"""Shares between which a percentile interval of ``n`` seeds covers a mean as often as the t interval does.

    The plain percentiles 2.5 and 97.5 cover 79 % with five seeds: resampled means vary too little, by the factor
    :math:`\sqrt{(n - 1) / n}`, and the normal quantile is too small. Expanded, the lower share is
    :math:`\Phi(-t_{n-1} \sqrt{n / (n - 1)})`.

    References:
        Hesterberg (2015), *What teachers should know about the bootstrap*, The American Statistician 69:371, section 5.
    """
    low = float(special.ndtr(-t_quantile(n - 1) * math.sqrt(n / (n - 1))))
    return low, 1 - low


def bootstrap_over_seeds(
    tables: NDArray[np.float64], statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> ConfidenceInterval | None:
    """95 % interval of a statistic of means over seeds, the seeds resampled jointly in all rows.

    Args:
        tables: values by row and seed, ``(rows, n_seeds)``.
        statistic: of means ``(resamples, rows)``, ``(resamples,)``; it may be infinite, not NaN.

    Returns:
        None for fewer than two seeds.
    """
    n = tables.shape[1]
    if n < 2:
        return None
    drawn = np.random.default_rng(0).integers(0, n, (RESAMPLES, n))
    found = np.sort(statistic(tables[:, drawn].mean(-1).T))
    low, high = (found[round(share * (RESAMPLES - 1))] for share in expanded_percentiles(n))
    return ConfidenceInterval(float(low), float(high))
