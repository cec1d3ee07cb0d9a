"""Differences of means against R, scipy and values worked out by hand."""

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
    assert difference.p_value == pytest.approx(0.002833, abs=1e-6)
    assert difference.relative == pytest.approx(-1.58 / 2.33)


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
    assert same.p_value is None
    zero = estimate_difference({0: 0.1, 1: 0.2}, {0: 0.1, 1: 0.2})
    assert zero.p_value is None
    assert not zero.estimate.interval.excludes_zero


def test_welch_interval_of_arms_without_common_seeds():
    """R: t.test(first, second) gives 95 % from -3.3654832 to 0.2054832 and p = 0.07939."""
    difference = estimate_difference(dict(enumerate(FIRST)), {100 + k: value for k, value in enumerate(SECOND)})
    assert not difference.paired
    assert (difference.estimate.mean, difference.estimate.n) == (pytest.approx(-1.58), 10)
    assert difference.estimate.interval.low == pytest.approx(-3.3654832, abs=1e-7)
    assert difference.estimate.interval.high == pytest.approx(0.2054832, abs=1e-7)
    assert difference.p_value == pytest.approx(0.07939, abs=1e-5)


def test_images_make_the_interval_one_for_new_images_too():
    """Ten seeds whose mean difference is always five of 100 images, the same ones: seeds alone would be sure of it."""
    first, second = np.zeros((10, 100), bool), np.zeros((10, 100), bool)
    first[:, :10] = True
    second[:, :5] = True
    first[np.arange(10), 20 + np.arange(10)] = True  # one more each, elsewhere
    second[np.arange(10), 40 + np.arange(10)] = True
    wrong = (dict(enumerate(first)), dict(enumerate(second)))
    values = tuple({seed: float(row.mean()) for seed, row in own.items()} for own in wrong)
    alone, both = estimate_difference(*values), estimate_difference(*values, wrong)
    assert alone.estimate.mean == both.estimate.mean == pytest.approx(0.05)
    assert alone.degenerate
    assert not both.degenerate
    assert both.estimate.seed_error == 0
    assert both.estimate.interval.low == pytest.approx(0.05 - 1.98 * both.estimate.image_error, abs=1e-3)
    assert both.image_part > 0
