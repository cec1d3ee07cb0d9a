"""The difference between the means of two arms: paired over common seeds, or Welch's where there are none."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from finetune.report.comparison.statistics.intervals import (
    CONFIDENCE,
    ConfidenceInterval,
    Estimate,
    bootstrap_interval,
    estimate_mean,
    mean_along,
    varies,
)


@dataclass(frozen=True)
class MeanDifference:
    """Mean of ``a - b`` with its intervals.

    Attributes:
        a: values of the first arm, one per common seed in their order; all its values where there is none.
        b: values of the second arm, likewise.
        seeds: the common seeds; empty where the arms have none and only their means are compared.
        estimate: mean difference with the t interval of the paired differences, or Welch's interval of two independent
            means. ``n`` is the number of differences, or of values of the arm that has fewer.
        bootstrap: percentile bootstrap interval of the mean difference; None for fewer than three values.
        p_value: p value of the corresponding t test; None where there is no interval or it has no width.
    """

    a: tuple[float, ...]
    b: tuple[float, ...]
    seeds: tuple[int, ...]
    estimate: Estimate
    bootstrap: ConfidenceInterval | None
    p_value: float | None

    @property
    def paired(self) -> bool:
        """Whether the arms have common seeds."""
        return bool(self.seeds)

    @property
    def values(self) -> tuple[float, ...]:
        """``a - b`` for each common seed; empty where there is none."""
        return tuple(x - y for x, y in zip(self.a, self.b, strict=True)) if self.paired else ()

    @property
    def degenerate(self) -> bool:
        """Whether the difference is the same for every seed, so that its spread cannot be estimated.

        Errors on a small test set are multiples of ``1 / n_test``: two or three seeds may agree by chance, and the t
        interval then has no width. Such a difference is not called settled.
        """
        return self.estimate.degenerate

    @property
    def settled(self) -> bool:
        """Whether the t interval has a width and excludes zero, and so does the bootstrap interval where it exists.

        With few seeds the percentile bootstrap interval is too narrow: for three to five normal values its coverage is
        79 to 86 %, not 95 % (see the tests), so it does not decide alone. With skewed differences the t interval may be
        the misleading one.
        """
        return self.estimate.excludes_zero and (self.bootstrap is None or self.bootstrap.excludes_zero)


def estimate_difference(a: Mapping[int, float], b: Mapping[int, float]) -> MeanDifference | None:
    """Mean of ``a - b`` over common seeds, or the difference of the means where there is no common seed.

    Args:
        a: value by seed.
        b: value by seed.

    Returns:
        None where an arm has no value, or where arms without common seeds have fewer than four values in all.

    References:
        Welch (1947), *The generalization of Student's problem when several different population variances are
        involved*; Efron & Tibshirani (1993), *An introduction to the bootstrap*, chapter 13.
    """
    seeds = tuple(sorted(a.keys() & b.keys()))
    first, second = ([values[seed] for seed in seeds or sorted(values)] for values in (a, b))
    if not first or not second or (not seeds and len(first) + len(second) < 4):
        return None
    if seeds:
        values = [x - y for x, y in zip(first, second, strict=True)]
        estimate = estimate_mean(values)
        p_value = float(stats.ttest_1samp(values, 0).pvalue) if varies(values) else None
        bootstrap = bootstrap_interval((values,), mean_along)
    else:
        mean = math.fsum(first) / len(first) - math.fsum(second) / len(second)
        interval, p_value = None, None
        if min(len(first), len(second)) > 1 and (varies(first) or varies(second)):
            test = stats.ttest_ind(first, second, equal_var=False)
            interval = ConfidenceInterval(*map(float, test.confidence_interval(CONFIDENCE)))
            p_value = float(test.pvalue)
        estimate = Estimate(mean, min(len(first), len(second)), interval)
        bootstrap = bootstrap_interval((first, second), _difference_of_means)
    return MeanDifference(tuple(first), tuple(second), seeds, estimate, bootstrap, p_value)


def _difference_of_means(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(a.mean(axis) - b.mean(axis))
