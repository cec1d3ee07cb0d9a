"""Probabilities, corrections and tests against scipy, counting and values worked out by hand."""

import numpy as np
import pytest
from scipy import stats

from finetune.report.comparison.statistics.mean_difference import estimate_difference
from finetune.report.comparison.statistics.significance import (
    clopper_pearson,
    holm_adjusted,
    interquartile_mean,
    mcnemar_test,
    probability_of_lower,
)


def test_probability_of_lower_counts_pairs():
    """Below in two of four, one tie: (2 + 1/2) / 4. Without common seeds: all 6 pairs, 4 below and one tie."""
    paired = probability_of_lower(estimate_difference({0: 1, 1: 2, 2: 3, 3: 4}, {0: 2, 1: 3, 2: 3, 3: 0}))
    assert paired.value == pytest.approx(2.5 / 4)
    assert paired.interval.low == pytest.approx(stats.binomtest(2, 4).proportion_ci(0.95, "exact").low)
    assert paired.interval.high == pytest.approx(stats.binomtest(3, 4).proportion_ci(0.95, "exact").high)
    unpaired = estimate_difference({0: 1.0, 1: 3.0}, {10: 2.0, 11: 3.0, 12: 4.0})
    assert probability_of_lower(unpaired).value == pytest.approx(4.5 / 6)
    u = stats.mannwhitneyu([2.0, 3.0, 4.0], [1.0, 3.0]).statistic
    assert probability_of_lower(unpaired).value == pytest.approx(u / 6)
    sure = probability_of_lower(estimate_difference({0: 1, 1: 2, 2: 3}, {0: 2, 1: 3, 2: 5}))
    assert (sure.value, sure.interval.high) == (1.0, 1.0)
    assert sure.interval.low == pytest.approx(0.025 ** (1 / 3))  # 0.29: three of three is not certainty
    assert unpaired.paired is False
    assert probability_of_lower(unpaired).interval is None


@pytest.mark.parametrize(("count", "n"), [(0, 5), (3, 3), (2, 7), (9, 10)])
def test_intervals_of_counts_are_clopper_and_pearsons(count, n):
    expected = stats.binomtest(count, n).proportion_ci(0.95, "exact")
    found = clopper_pearson(count, n)
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_holm_by_hand():
    """0.01, 0.04, 0.03, 0.005: times 4, 3, 2, 1 in ascending order, never falling: 0.03, 0.06, 0.06, 0.02."""
    assert holm_adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm_adjusted([0.6, 0.7]) == [1.0, 1.0]
    assert holm_adjusted([]) == []


def test_mcnemar_is_a_sign_test_of_the_items_that_one_alone_gets_wrong():
    """2 against 9 of 11: twice the sum of the binomial coefficients up to 2, over 2^11: 134 / 2048."""
    wrong_a = np.array([True] * 2 + [False] * 9 + [True] * 30 + [False] * 59)
    wrong_b = np.array([False] * 2 + [True] * 9 + [True] * 30 + [False] * 59)
    test = mcnemar_test(wrong_a, wrong_b)
    assert (test.only_a, test.only_b) == (2, 9)
    assert test.p_value == pytest.approx(2 * (1 + 11 + 55) / 2048)
    assert mcnemar_test(wrong_a, wrong_a).p_value == 1.0


def test_interquartile_mean_leaves_a_quarter_out_at_each_end():
    assert interquartile_mean([100, 1, 2, 3, 4, -50, 5, 6]) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert interquartile_mean([1.0, 2.0, 9.0]) == pytest.approx(4.0)  # a quarter of three, rounded down, is none
