"""How strong the evidence for a difference is: P(a < b), Holm's correction, McNemar's test, interquartile mean."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from finetune.report.comparison.statistics.intervals import CONFIDENCE, ConfidenceInterval
from finetune.report.comparison.statistics.mean_difference import MeanDifference


@dataclass(frozen=True)
class Probability:
    """A probability with its interval; None for arms without common seeds, whose pairs are not independent."""

    value: float
    interval: ConfidenceInterval | None


def probability_of_lower(difference: MeanDifference) -> Probability:
    """``P(a < b)``, ties counting half, over common seeds; without common seeds over all pairs (Mann-Whitney).

    The interval is Clopper and Pearson's for counts of seeds: at its lower end ties count against the arm, at its upper
    end for it.

    References:
        Bouthillier et al. (2021), *Accounting for variance in machine learning benchmarks*, MLSys, section 4. Clopper &
        Pearson (1934), Biometrika 26:404.
    """
    if difference.paired:
        signs = np.sign(difference.values)
        lower, ties, n = int((signs < 0).sum()), int((signs == 0).sum()), len(signs)
        return Probability(
            (lower + 0.5 * ties) / n,
            ConfidenceInterval(clopper_pearson(lower, n).low, clopper_pearson(lower + ties, n).high),
        )
    signs = np.sign(np.subtract.outer(difference.a, difference.b))
    return Probability(math.fsum((0.5 * (1 - signs)).ravel()) / signs.size, None)


def clopper_pearson(count: int, n: int) -> ConfidenceInterval:
    """Exact 95 % interval of a probability from ``count`` of ``n``: of 3 of 3 it is 0.29 to 1."""
    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if count == 0 else float(stats.beta.ppf(tail, count, n - count + 1))
    high = 1.0 if count == n else float(stats.beta.isf(tail, count + 1, n - count))
    return ConfidenceInterval(low, high)


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """P values adjusted by Holm's method: rejecting those below 0.05 has a family-wise error rate of at most 5 %.

    References:
        Holm (1979), *A simple sequentially rejective multiple test procedure*, Scandinavian Journal of Statistics 6:65.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


@dataclass(frozen=True)
class McNemarTest:
    """Outcome of McNemar's test between two classifiers ``a`` and ``b``.

    Attributes:
        only_a: number of test images that only ``a`` misclassifies.
        only_b: number of test images that only ``b`` misclassifies.
        p_value: two-sided and exact.
    """

    only_a: int
    only_b: int
    p_value: float


def mcnemar_test(wrong_a: ArrayLike, wrong_b: ArrayLike) -> McNemarTest:
    """McNemar's exact test of equal error rates: a binomial test of the images that only one classifier gets wrong.

    Args:
        wrong_a: ``(n_test,)`` booleans: whether ``a`` misclassifies each test image.
        wrong_b: the same of ``b``, for the same images.

    References:
        McNemar (1947), Psychometrika 12:153; Dietterich (1998), *Approximate statistical tests for comparing supervised
        classification learning algorithms*.
    """
    a, b = np.asarray(wrong_a, bool), np.asarray(wrong_b, bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    n = only_a + only_b
    return McNemarTest(only_a, only_b, float(stats.binomtest(only_a, n).pvalue) if n else 1.0)


def interquartile_mean(values: Sequence[float]) -> float:
    """Mean of the middle half of the values: a quarter of them, rounded down, is left out at each end.

    References:
        Agarwal et al. (2021), *Deep reinforcement learning at the edge of the statistical precipice*, NeurIPS.
    """
    return float(stats.trim_mean(np.asarray(values, float), 0.25))
