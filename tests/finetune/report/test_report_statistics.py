import numpy as np
import pytest
from scipy import stats

from finetune.report.statistics import estimate_mean, paired_difference

# Hours of extra sleep of ten patients under two drugs: Student (1908), The probable error of a mean, Biometrika 6.
FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def test_paired_difference_of_students_sleep_data():
    """R: t.test(first, second, paired = TRUE) gives mean -1.58 and the interval [-2.4598858, -0.7001142]."""
    difference = paired_difference(dict(enumerate(FIRST)), dict(enumerate(SECOND)))
    assert difference is not None
    assert difference.estimate.mean == pytest.approx(-1.58, abs=1e-12)
    assert difference.estimate.interval.low == pytest.approx(-2.4598858, abs=1e-7)
    assert difference.estimate.interval.high == pytest.approx(-0.7001142, abs=1e-7)
    assert difference.settled


def test_unpaired_reading_of_the_same_data_would_not_be_settled():
    """Pairing is what settles it: the intervals of the two means overlap widely."""
    first, second = estimate_mean(FIRST), estimate_mean(SECOND)
    assert first.interval.high > second.interval.low


def test_interval_by_hand_for_three_seeds():
    """1, 2, 3: s = 1, t(0.975; 2) = 4.30265, half width 4.30265 / sqrt(3) = 2.48414."""
    estimate = estimate_mean([1.0, 2.0, 3.0])
    assert (estimate.mean, estimate.n) == (2.0, 3)
    assert estimate.half_width == pytest.approx(2.48414, abs=1e-5)


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_interval_agrees_with_scipy(n):
    values = np.random.default_rng(n).normal(0.02, 0.003, n)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    interval = estimate_mean(list(values)).interval
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), rel=1e-10)


def test_one_value_has_no_interval_and_no_values_have_no_mean():
    assert estimate_mean([0.3]).interval is None
    assert estimate_mean([0.3]).half_width is None
    with pytest.raises(ValueError, match="no values"):
        estimate_mean([])


def test_pairs_are_common_seeds_only():
    difference = paired_difference({0: 1.0, 1: 2.0, 7: 100.0}, {1: 1.5, 0: 0.0, 9: -100.0})
    assert difference.seeds == (0, 1)
    assert difference.estimate.mean == pytest.approx(0.75)
    assert paired_difference({0: 1.0}, {1: 1.0}) is None


def test_the_same_difference_in_every_seed_settles_nothing():
    """Three seeds that agree to the last digit say nothing about spread: errors on a small test set are coarse."""
    same = paired_difference({0: 0.10, 1: 0.20, 2: 0.30}, {0: 0.15, 1: 0.25, 2: 0.35})
    assert same.degenerate
    assert not same.settled
    zero = paired_difference({0: 0.1, 1: 0.2}, {0: 0.1, 1: 0.2})
    assert not zero.settled
    assert not zero.estimate.interval.excludes_zero
