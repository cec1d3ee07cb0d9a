"""Intervals of a mean against scipy."""

import numpy as np
import pytest
from scipy import stats

from finetune.report.comparison.statistics.intervals import ConfidenceInterval, estimate_mean


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


def test_no_interval_of_an_error_goes_below_zero_and_it_covers_as_often_as_before():
    """Errors of 5 seeds near zero, 2000 samples: what is cut off was never true."""
    cut = estimate_mean([0.001, 0.002, 0.09]).not_below_zero()
    assert cut.interval.low == 0
    assert not cut.symmetric
    rng = np.random.default_rng(1)
    for sample in rng.exponential(0.02, (2000, 3)):
        whole, cut = estimate_mean(list(sample)), estimate_mean(list(sample)).not_below_zero()
        assert cut.interval.low >= 0
        assert (whole.interval.low <= 0.02 <= whole.interval.high) == (cut.interval.low <= 0.02 <= cut.interval.high)


def test_within_is_the_whole_interval():
    assert ConfidenceInterval(-0.05, 0.09).within(0.1)
    assert not ConfidenceInterval(-0.05, 0.11).within(0.1)
    assert not ConfidenceInterval(-0.1, 0.0).within(0.1)
