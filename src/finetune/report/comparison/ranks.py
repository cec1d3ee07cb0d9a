"""Arms over several data sets: average ranks, Friedman's test and Nemenyi's critical difference."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from finetune.report.comparison.axes import Axis
from finetune.report.comparison.rule import SIGNIFICANCE_LEVEL
from finetune.report.results.run_result import Kind

MIN_DATA_SETS, MIN_ARMS = 3, 3
"""Numbers that ranks need to say anything."""


@dataclass(frozen=True)
class RankedArm:
    """An arm and its rank, mean over data sets; 1 is the lowest metric."""

    name: str
    kind: Kind
    rank: float


@dataclass(frozen=True)
class Ranking:
    """Arms that were trained on every data set.

    Attributes:
        arms: in ascending order of their rank.
        n_data_sets: number of data sets.
        friedman_p: p value of Friedman's test that all arms are alike, in Iman and Davenport's form.
        critical_difference: two arms whose ranks differ by more differ at the 5 % level (Nemenyi).
        cliques: largest sets of neighbours, as first and last index, that do not differ.
    """

    arms: tuple[RankedArm, ...]
    n_data_sets: int
    friedman_p: float
    critical_difference: float
    cliques: tuple[tuple[int, int], ...]


def rank_arms(axis: Axis) -> Ranking | None:
    """Ranks of the arms along an axis of data sets; None for fewer than three data sets or arms.

    Each data set counts once, by the mean over seeds; arms that tie share their mean rank.

    References:
        Demšar (2006), *Statistical comparisons of classifiers over multiple data sets*, JMLR 7:1; Iman & Davenport
        (1980), *Approximations of the critical region of the Friedman statistic*.
    """
    n = len(axis.sections)
    lines = [line for line in axis.lines if len(line.arms) == n and line.kind != "baseline"]
    k = len(lines)
    if axis.quantity != "data set" or n < MIN_DATA_SETS or k < MIN_ARMS:
        return None
    means = np.array(
        [[np.mean(list(line.arms[index].values(axis.metric).values())) for line in lines] for index in range(n)]
    )
    ranks = stats.rankdata(np.round(means, 12), axis=1).mean(0)
    order = sorted(range(k), key=lambda index: (ranks[index], lines[index].name))
    arms = tuple(RankedArm(lines[index].name, lines[index].kind, float(ranks[index])) for index in order)
    critical = critical_difference(k, n)
    return Ranking(arms, n, friedman_p_value(means), critical, _cliques([arm.rank for arm in arms], critical))


def friedman_p_value(values: NDArray[np.float64]) -> float:
    """P value of Friedman's test, by the F distribution; ``values`` by data set and arm, ``(n, k)``."""
    n, k = values.shape
    ranks = stats.rankdata(np.round(values, 12), axis=1)
    between = n * float(np.square(ranks.mean(0) - (k + 1) / 2).sum())
    within = float(np.square(ranks - (k + 1) / 2).sum()) - between
    if within <= 1e-12:
        return 0.0 if between > 1e-12 else 1.0
    statistic = between / (k - 1) / (within / ((k - 1) * (n - 1)))
    return float(stats.f.sf(statistic, k - 1, (k - 1) * (n - 1)))


def critical_difference(k: int, n: int) -> float:
    """Nemenyi's critical difference of the mean ranks of ``k`` arms over ``n`` data sets."""
    quantile = float(stats.studentized_range.isf(SIGNIFICANCE_LEVEL, k, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(k * (k + 1) / (6 * n))


def _cliques(ranks: list[float], critical: float) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = max(index for index, other in enumerate(ranks) if other - rank <= critical)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return tuple(found)
