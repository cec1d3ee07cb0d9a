"""The difference between the means of two arms: paired over common seeds, or Welch's where there are none."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from finetune.report.comparison.statistics.crossed import crossed_difference
from finetune.report.comparison.statistics.intervals import (
    CONFIDENCE,
    ConfidenceInterval,
    Estimate,
    estimate_mean,
    t_p_value,
    varies,
)

Wrong = Mapping[int, NDArray[np.bool_]]
"""Which test images a run misclassifies, ``(n_test,)``, by seed."""


@dataclass(frozen=True)
class MeanDifference:
    """Mean of ``a - b`` with its interval.

    Attributes:
        a: values of the first arm, one per common seed in their order; all its values where there is none.
        b: values of the second arm, likewise.
        seeds: the common seeds; empty where the arms have none and only their means are compared.
        estimate: mean difference with its interval: over seeds and test images together where the images are known,
            else the t interval of the paired differences, or Welch's of two independent means. ``n`` is the number of
            differences, or of values of the arm that has fewer.
        p_value: p value of the corresponding t test; None where there is no interval or it has no width.
        image_part: standard error that the sample of test images leaves however many seeds there are; 0 where the
            images are not known.
    """

    a: tuple[float, ...]
    b: tuple[float, ...]
    seeds: tuple[int, ...]
    estimate: Estimate
    p_value: float | None
    image_part: float = 0.0

    @property
    def paired(self) -> bool:
        """Whether the arms have common seeds."""
        return bool(self.seeds)

    @property
    def values(self) -> tuple[float, ...]:
        """``a - b`` for each common seed; empty where there is none."""
        return tuple(x - y for x, y in zip(self.a, self.b, strict=True)) if self.paired else ()

    @property
    def relative(self) -> float | None:
        """Mean difference as a share of the second arm's mean; None where that is zero."""
        mean = math.fsum(self.b) / len(self.b)
        return self.estimate.mean / mean if mean else None

    @property
    def degenerate(self) -> bool:
        """Whether the difference is the same for every seed (and image), so that its spread cannot be estimated.

        Errors on a small test set are multiples of ``1 / n_test``: two or three seeds may agree by chance, and the t
        interval then has no width. Such a difference is not called settled.
        """
        return self.estimate.degenerate


def estimate_difference(
    a: Mapping[int, float], b: Mapping[int, float], wrong: tuple[Wrong, Wrong] | None = None
) -> MeanDifference | None:
    """Mean of ``a - b`` over common seeds, or the difference of the means where there is no common seed.

    Args:
        a: value by seed.
        b: value by seed.
        wrong: where the values are errors on the same test images for all seeds: which images each run of the first
            and of the second arm misclassifies. The interval is then one for new seeds and new images.

    Returns:
        None where an arm has no value, or where arms without common seeds have fewer than four values in all.

    References:
        Welch (1947), *The generalization of Student's problem when several different population variances are
        involved*; for the images see :func:`finetune.report.comparison.statistics.crossed.crossed_mean`.
    """
    seeds = tuple(sorted(a.keys() & b.keys()))
    first, second = ([values[seed] for seed in seeds or sorted(values)] for values in (a, b))
    if not first or not second or (not seeds and len(first) + len(second) < 4):
        return None
    if not seeds:
        return _unpaired(tuple(first), tuple(second))
    if wrong is not None and len(seeds) > 1:
        crossed = crossed_difference(*(np.stack([own[seed] for seed in seeds]) for own in wrong))
        return MeanDifference(
            tuple(first), tuple(second), seeds, crossed.estimate, crossed.p_value, crossed.image_part
        )  # fmt: skip
    values = [x - y for x, y in zip(first, second, strict=True)]
    estimate = estimate_mean(values)
    p_value = None
    if estimate.seed_error is not None and varies(values):
        p_value = t_p_value(estimate.mean / estimate.seed_error, len(values) - 1)
    return MeanDifference(tuple(first), tuple(second), seeds, estimate, p_value)


def _unpaired(first: tuple[float, ...], second: tuple[float, ...]) -> MeanDifference:
    mean = math.fsum(first) / len(first) - math.fsum(second) / len(second)
    interval, p_value = None, None
    if min(len(first), len(second)) > 1 and (varies(first) or varies(second)):
        test = stats.ttest_ind(first, second, equal_var=False)
        interval = ConfidenceInterval(*map(float, test.confidence_interval(CONFIDENCE)))
        p_value = float(test.pvalue)
    return MeanDifference(first, second, (), Estimate(mean, min(len(first), len(second)), interval), p_value)
