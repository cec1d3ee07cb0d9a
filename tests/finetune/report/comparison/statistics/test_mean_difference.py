"""Differences of means against R, scipy and values worked out by hand."""

from itertools import product

import numpy as np
import pytest

from finetune.report.comparison.statistics.intervals import estimate_mean
from finetune.report.comparison.statistics.mean_difference import estimate_difference

# Hours of extra sleep of ten patients under two drugs: Student (1908), The probable error of a mean, Biometrika 6.
FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]


SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def test_paired_difference_of_students_sleep_data():
    """R: t.test(first, second, paired = TRUE) gives mean -1.58 and the interval [-2.4598858, -0.7001142]."""
    difference = estimate_difference(dict(enumerate(FIRST)), dict(enumerate(SECOND)))
    assert difference is not None
    assert difference.estimate.mean == pytest.approx(-1.58, abs=1e-12)
    assert difference.estimate.interval.low == pytest.approx(-2.4598858, abs=1e-7)
    assert difference.estimate.interval.high == pytest.approx(-0.7001142, abs=1e-7)
    assert difference.settled


def test_unpaired_reading_of_the_same_data_would_not_be_settled():
    """Pairing is what settles it: the intervals of the two means overlap widely."""
    first, second = estimate_mean(FIRST), estimate_mean(SECOND)
    assert first.interval.high > second.interval.low


def test_pairs_are_common_seeds_only():
    difference = estimate_difference({0: 1.0, 1: 2.0, 7: 100.0}, {1: 1.5, 0: 0.0, 9: -100.0})
    assert difference.seeds == (0, 1)
    assert difference.estimate.mean == pytest.approx(0.75)
    assert estimate_difference({0: 1.0}, {1: 1.0}) is None
    assert estimate_difference({}, {1: 1.0}) is None


def test_the_same_difference_in_every_seed_settles_nothing():
    """Three seeds that agree to the last digit say nothing about spread: errors on a small test set are coarse."""
    same = estimate_difference({0: 0.10, 1: 0.20, 2: 0.30}, {0: 0.15, 1: 0.25, 2: 0.35})
    assert same.degenerate
    assert not same.settled
    zero = estimate_difference({0: 0.1, 1: 0.2}, {0: 0.1, 1: 0.2})
    assert not zero.settled
    assert not zero.estimate.interval.excludes_zero


def test_welch_interval_of_arms_without_common_seeds():
    """R: t.test(first, second) gives 95 % from -3.3654832 to 0.2054832 and p = 0.07939."""
    difference = estimate_difference(dict(enumerate(FIRST)), {100 + k: value for k, value in enumerate(SECOND)})
    assert not difference.paired
    assert (difference.estimate.mean, difference.estimate.n) == (pytest.approx(-1.58), 10)
    assert difference.estimate.interval.low == pytest.approx(-3.3654832, abs=1e-7)
    assert difference.estimate.interval.high == pytest.approx(0.2054832, abs=1e-7)
    assert difference.p_value == pytest.approx(0.07939, abs=1e-5)
    assert not difference.settled


def test_bootstrap_interval_is_that_of_all_resamples():
    """Three differences have 27 resamples: the percentiles of their means, enumerated."""
    values = {0: 0.1, 1: 0.4, 2: 1.0}
    means = [np.mean(resample) for resample in product(values.values(), repeat=3)]
    interval = estimate_difference(values, dict.fromkeys(range(3), 0.0)).bootstrap
    low, high = np.quantile(means, [0.025, 0.975], method="inverted_cdf")
    assert (interval.low, interval.high) == (pytest.approx(low), pytest.approx(high))


def test_bootstrap_agrees_with_the_standard_error_of_many_values():
    """Of 400 normal values: mean plus or minus 1.96 standard errors, to 5 % of the width."""
    values = np.random.default_rng(3).normal(0.3, 1.0, 400)
    interval = estimate_difference(dict(enumerate(values)), dict.fromkeys(range(400), 0.0)).bootstrap
    half_width = 1.96 * values.std(ddof=1) / 20
    assert interval.low == pytest.approx(values.mean() - half_width, abs=0.1 * half_width)
    assert interval.high == pytest.approx(values.mean() + half_width, abs=0.1 * half_width)


def test_coverage_at_few_seeds():
    """Why the bootstrap never decides alone: of 95 %, at 3 and 5 normal differences it covers some 75 and 83 %.

    3000 samples: a standard error is 0.8 points. Percentiles of 500 resamples.
    """
    rng = np.random.default_rng(0)
    for n, bootstrap_low, bootstrap_high in ((3, 0.70, 0.81), (5, 0.79, 0.88)):
        samples = rng.normal(0.0, 1.0, (3000, n))
        resamples = samples[:, rng.integers(0, n, (500, n))].mean(-1)
        low, high = np.quantile(resamples, [0.025, 0.975], axis=1)
        assert bootstrap_low < ((low <= 0) & (high >= 0)).mean() < bootstrap_high
        covered = []
        for sample in samples[:1500]:
            interval = estimate_mean(list(sample)).interval
            covered.append(interval.low <= 0 <= interval.high)
        assert abs(np.mean(covered) - 0.95) < 4 * (0.05 * 0.95 / 1500) ** 0.5


def test_settled_takes_both_intervals():
    """A t interval that excludes zero beside a bootstrap that does too; one outlier takes both away."""
    clear = {0: 1.0, 1: 1.2, 2: 0.9, 3: 1.1}
    zero = dict.fromkeys(range(4), 0.0)
    assert estimate_difference(clear, zero).settled
    spread_apart = estimate_difference({**clear, 3: -4.0}, zero)
    assert not spread_apart.settled
    assert not spread_apart.bootstrap.excludes_zero
    assert estimate_difference({0: 1.0, 1: 1.2}, zero).bootstrap is None  # two seeds: nothing to resample
