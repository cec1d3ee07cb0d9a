"""How sure a comparison is: intervals over seeds, paired where seeds are common, and tests beside them.

Two arms with the same seed saw the same split, label subset and order of images, so arms are compared by the
differences seed by seed: what the seed does to both cancels. Arms without a common seed are compared by their means.

Everything here is a function of numbers; what is compared with what is decided in :mod:`finetune.report.compare`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 9999
ENOUGH_SEEDS = 1000
"""Beyond so many seeds a difference is called out of reach."""


@dataclass(frozen=True)
class Interval:
    """A two-sided confidence interval ``[low, high]``."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Estimate:
    """A mean over ``n`` seeds; ``interval`` is None for one seed, which says nothing about spread."""

    mean: float
    n: int
    interval: Interval | None

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval, in the unit of the mean."""
        return None if self.interval is None else (self.interval.high - self.interval.low) / 2

    @property
    def degenerate(self) -> bool:
        """Whether every seed shows the same value, so that the interval has no width and says nothing."""
        return self.half_width is not None and self.half_width <= 1e-9 * abs(self.mean)

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval, with a width, and it lies on one side of zero."""
        return self.interval is not None and not self.degenerate and self.interval.excludes_zero


@dataclass(frozen=True)
class Difference:
    """Mean of ``a - b``.

    Attributes:
        a: values of the first arm; where the arms have common seeds, of these only, in their order.
        b: values of the second arm, likewise.
        seeds: the common seeds; empty where the arms have none, so that only their means can be compared.
        estimate: mean difference with its t interval: of the differences, or Welch's of two independent means. ``n``
            counts differences, or the values of the arm that has fewer.
        bootstrap: percentile bootstrap interval of the mean difference; None for fewer than three values.
        p_value: of the t test that belongs to the interval; None where there is no interval, or none with a width.
    """

    a: tuple[float, ...]
    b: tuple[float, ...]
    seeds: tuple[int, ...]
    estimate: Estimate
    bootstrap: Interval | None
    p_value: float | None

    @property
    def paired(self) -> bool:
        """Whether the arms have common seeds."""
        return bool(self.seeds)

    @property
    def values(self) -> tuple[float, ...]:
        """``a - b`` seed by seed; of arms without common seeds, none."""
        return tuple(x - y for x, y in zip(self.a, self.b, strict=True)) if self.paired else ()

    @property
    def degenerate(self) -> bool:
        """Whether every seed shows the same difference, so that its spread cannot be estimated.

        Errors on a small test set are multiples of ``1 / n_test``: two or three seeds easily agree by chance, and the
        t interval then has no width. That is too little to call a difference settled.
        """
        return self.estimate.degenerate

    @property
    def settled(self) -> bool:
        """Whether there is an interval, with a width, and it excludes zero, as does the bootstrap's where it exists.

        With few seeds the percentile bootstrap is too narrow (three to five normal values: it covers the mean in 79 to
        86 of 100 cases, not in 95, see the tests), so it never decides alone; with skewed differences the t interval
        may be the one that misleads.
        """
        return self.estimate.excludes_zero and (self.bootstrap is None or self.bootstrap.excludes_zero)


def estimate_mean(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    r"""Mean with its t interval :math:`\bar x \pm t_{n-1} s / \sqrt n`, ``s`` the sample standard deviation.

    Args:
        values: one finite value per seed, at least one.
        confidence: probability that the interval covers the mean, if values are normal.

    Raises:
        ValueError: ``values`` is empty.
    """
    n = len(values)
    if n == 0:
        raise ValueError("the mean of no values is not defined")
    mean = math.fsum(values) / n
    if n == 1:
        return Estimate(mean, 1, None)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    half_width = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * math.sqrt(variance / n)
    return Estimate(mean, n, Interval(mean - half_width, mean + half_width))


def difference_of(a: Mapping[int, float], b: Mapping[int, float], confidence: float = CONFIDENCE) -> Difference | None:
    """Mean of ``a - b``: over common seeds, or where there is none, between all values of each.

    Args:
        a: value by seed.
        b: value by seed.
        confidence: of the intervals.

    Returns:
        None where an arm has no value, or where arms without common seeds have one value each.

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
        estimate = estimate_mean(values, confidence)
        p_value = float(stats.ttest_1samp(values, 0).pvalue) if _spread(values) else None
        bootstrap = _bootstrap((values,), _mean, confidence)
    else:
        mean = math.fsum(first) / len(first) - math.fsum(second) / len(second)
        interval, p_value = None, None
        if min(len(first), len(second)) > 1 and (_spread(first) or _spread(second)):
            test = stats.ttest_ind(first, second, equal_var=False)
            interval, p_value = Interval(*map(float, test.confidence_interval(confidence))), float(test.pvalue)
        estimate = Estimate(mean, min(len(first), len(second)), interval)
        bootstrap = _bootstrap((first, second), _difference_of_means, confidence)
    return Difference(tuple(first), tuple(second), seeds, estimate, bootstrap, p_value)


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(values.mean(axis))


def _difference_of_means(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(a.mean(axis) - b.mean(axis))


def _spread(values: Sequence[float]) -> bool:
    """Whether values differ by more than rounding."""
    return len(values) > 1 and max(values) - min(values) > 1e-9 * max(map(abs, values))


def _bootstrap(samples: tuple[Sequence[float], ...], statistic: object, confidence: float) -> Interval | None:
    """Percentile bootstrap interval, the same at every call; None for fewer than three values, or without spread."""
    if min(map(len, samples)) < 3 or not any(map(_spread, samples)):
        return None
    interval = stats.bootstrap(
        samples, statistic, vectorized=True, n_resamples=RESAMPLES, confidence_level=confidence, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return Interval(float(interval.low), float(interval.high))


@dataclass(frozen=True)
class Probability:
    """A probability with a percentile bootstrap interval, None for fewer than three values."""

    value: float
    interval: Interval | None


def probability_of_lower(difference: Difference, confidence: float = CONFIDENCE) -> Probability:
    """``P(a < b)``, a tie counting half: over common seeds, or over all pairs of arms that have none (Mann-Whitney).

    A probability above 0.75 whose interval excludes 0.5 is what Bouthillier et al. call a significant and meaningful
    improvement.

    References:
        Bouthillier et al. (2021), *Accounting for variance in machine learning benchmarks*, MLSys, section 4.
    """
    if difference.paired:
        wins = [0.5 * (1 - float(np.sign(value))) for value in difference.values]
        value = math.fsum(wins) / len(wins)
        if len(wins) < 3:
            return Probability(value, None)
        return Probability(value, _bootstrap((wins,), _mean, confidence) or Interval(value, value))
    a, b = difference.a, difference.b
    value = float(_share_lower(np.array(a), np.array(b), -1))
    return Probability(value, _bootstrap((a, b), _share_lower, confidence))


def _share_lower(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
    difference = a[..., :, None] - b[..., None, :]
    share: np.ndarray = (0.5 * (1 - np.sign(difference))).mean((-2, -1))
    return share


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values of a family of tests: below 0.05, the family errs in 5 of 100 cases at most.

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
class McNemar:
    """Test items that one of two classifiers alone gets wrong.

    Attributes:
        only_a: items that the first alone gets wrong.
        only_b: items that the second alone gets wrong.
        p_value: two-sided, exact.
    """

    only_a: int
    only_b: int
    p_value: float


def mcnemar(wrong_a: ArrayLike, wrong_b: ArrayLike) -> McNemar:
    """McNemar's exact test: are the items that one alone gets wrong as many on either side?

    Args:
        wrong_a: ``(n_test,)`` booleans: whether the first classifier errs on each test item.
        wrong_b: the second, on the same items.

    References:
        McNemar (1947), Psychometrika 12:153; Dietterich (1998), *Approximate statistical tests for comparing supervised
        classification learning algorithms*.
    """
    a, b = np.asarray(wrong_a, bool), np.asarray(wrong_b, bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    n = only_a + only_b
    return McNemar(only_a, only_b, float(stats.binomtest(only_a, n).pvalue) if n else 1.0)


def interquartile_mean(values: Sequence[float]) -> float:
    """Mean of the middle half: a quarter of the values (rounded down) is left out at each end.

    References:
        Agarwal et al. (2021), *Deep reinforcement learning at the edge of the statistical precipice*, NeurIPS.
    """
    return float(stats.trim_mean(np.asarray(values, float), 0.25))


def seeds_needed(differences: Sequence[float], power: float = 0.8, confidence: float = CONFIDENCE) -> int | None:
    """Seeds with which a paired t interval would exclude zero, if mean and spread are those observed.

    Args:
        differences: by seed.
        power: probability that the interval excludes zero.
        confidence: of the interval.

    Returns:
        The number of seeds, at least two; None where more than :data:`ENOUGH_SEEDS` are needed, or where differences
        do not say: fewer than two, no spread, or none on average.

    References:
        Colas, Sigaud & Oudeyer (2018), *How many random seeds?*, arXiv:1806.08295; power by the noncentral t.
    """
    if not _spread(differences):
        return None
    effect = abs(float(np.mean(differences))) / float(np.std(differences, ddof=1))
    if effect == 0:
        return None

    def power_of(n: int) -> float:
        critical = float(stats.t.ppf((1 + confidence) / 2, n - 1))
        return float(stats.nct.sf(critical, n - 1, effect * math.sqrt(n)))

    if power_of(ENOUGH_SEEDS) < power:
        return None
    low, high = 1, ENOUGH_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(middle) >= power else (middle, high)
    return high


def seeds_to_settle(difference: Difference) -> int | None:
    """How many seeds would settle a difference that is not settled, more than there are; see :func:`seeds_needed`.

    Returns:
        None where it is settled, where seeds are not paired, or where :func:`seeds_needed` does not say.
    """
    if difference.settled or not difference.paired:
        return None
    needed = seeds_needed(difference.values)
    return None if needed is None else max(needed, len(difference.seeds) + 1)
