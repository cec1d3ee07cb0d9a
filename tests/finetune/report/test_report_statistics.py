from itertools import product

import numpy as np
import pytest
from scipy import stats

from finetune.report.family import compare_family
from finetune.report.signed_ranks import signed_rank_test
from finetune.report.statistics import (
    difference_of,
    estimate_mean,
    holm,
    interquartile_mean,
    mcnemar,
    probability_of_lower,
    seeds_needed,
)

# Hours of extra sleep of ten patients under two drugs: Student (1908), The probable error of a mean, Biometrika 6.
FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def test_paired_difference_of_students_sleep_data():
    """R: t.test(first, second, paired = TRUE) gives mean -1.58 and the interval [-2.4598858, -0.7001142]."""
    difference = difference_of(dict(enumerate(FIRST)), dict(enumerate(SECOND)))
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
    difference = difference_of({0: 1.0, 1: 2.0, 7: 100.0}, {1: 1.5, 0: 0.0, 9: -100.0})
    assert difference.seeds == (0, 1)
    assert difference.estimate.mean == pytest.approx(0.75)
    assert difference_of({0: 1.0}, {1: 1.0}) is None
    assert difference_of({}, {1: 1.0}) is None


def test_the_same_difference_in_every_seed_settles_nothing():
    """Three seeds that agree to the last digit say nothing about spread: errors on a small test set are coarse."""
    same = difference_of({0: 0.10, 1: 0.20, 2: 0.30}, {0: 0.15, 1: 0.25, 2: 0.35})
    assert same.degenerate
    assert not same.settled
    zero = difference_of({0: 0.1, 1: 0.2}, {0: 0.1, 1: 0.2})
    assert not zero.settled
    assert not zero.estimate.interval.excludes_zero


def test_welch_interval_of_arms_without_common_seeds():
    """R: t.test(first, second) gives 95 % from -3.3654832 to 0.2054832 and p = 0.07939."""
    difference = difference_of(dict(enumerate(FIRST)), {100 + k: value for k, value in enumerate(SECOND)})
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
    interval = difference_of(values, dict.fromkeys(range(3), 0.0)).bootstrap
    low, high = np.quantile(means, [0.025, 0.975], method="inverted_cdf")
    assert (interval.low, interval.high) == (pytest.approx(low), pytest.approx(high))


def test_bootstrap_agrees_with_the_standard_error_of_many_values():
    """Of 400 normal values: mean plus or minus 1.96 standard errors, to 5 % of the width."""
    values = np.random.default_rng(3).normal(0.3, 1.0, 400)
    interval = difference_of(dict(enumerate(values)), dict.fromkeys(range(400), 0.0)).bootstrap
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
    assert difference_of(clear, zero).settled
    spread = difference_of({**clear, 3: -4.0}, zero)
    assert not spread.settled
    assert not spread.bootstrap.excludes_zero
    assert difference_of({0: 1.0, 1: 1.2}, zero).bootstrap is None  # two seeds: nothing to resample


def test_probability_of_lower_counts_pairs():
    """Below in two of four, one tie: (2 + 1/2) / 4. Without common seeds: all 6 pairs, 4 below and one tie."""
    paired = probability_of_lower(difference_of({0: 1, 1: 2, 2: 3, 3: 4}, {0: 2, 1: 3, 2: 3, 3: 0}))
    assert paired.value == pytest.approx(2.5 / 4)
    assert paired.interval.low <= 0.25
    unpaired = difference_of({0: 1.0, 1: 3.0}, {10: 2.0, 11: 3.0, 12: 4.0})
    assert probability_of_lower(unpaired).value == pytest.approx(4.5 / 6)
    u = stats.mannwhitneyu([2.0, 3.0, 4.0], [1.0, 3.0]).statistic
    assert probability_of_lower(unpaired).value == pytest.approx(u / 6)
    sure = probability_of_lower(difference_of({0: 1, 1: 2, 2: 3}, {0: 2, 1: 3, 2: 5}))
    assert (sure.value, sure.interval.low, sure.interval.high) == (1.0, 1.0, 1.0)


def test_interval_of_the_probability_is_that_of_all_resamples():
    """Four seeds, two below, one tie: 256 resamples, their percentiles enumerated. Apart: 27 resamples of each arm."""
    paired = difference_of({0: 1, 1: 2, 2: 3, 3: 4}, {0: 2, 1: 3, 2: 3, 3: 0})
    shares = [np.mean(draw) for draw in product([1.0, 1.0, 0.5, 0.0], repeat=4)]
    low, high = np.quantile(shares, [0.025, 0.975], method="inverted_cdf")
    found = probability_of_lower(paired)
    assert (found.interval.low, found.interval.high) == (pytest.approx(low), pytest.approx(high))
    a, b = [1.0, 3.0, 2.5], [2.0, 3.5, 2.2]
    apart = probability_of_lower(difference_of(dict(enumerate(a)), {10 + k: value for k, value in enumerate(b)}))
    shares = [
        np.mean([x < y for x in own for y in other]) for own in product(a, repeat=3) for other in product(b, repeat=3)
    ]
    low, high = np.quantile(shares, [0.025, 0.975], method="inverted_cdf")
    assert (apart.interval.low, apart.interval.high) == (pytest.approx(low), pytest.approx(high))
    assert apart.value == pytest.approx(stats.mannwhitneyu(b, a).statistic / 9)


def share_of_sign_patterns(values):
    """By the definition: of the 2^n sign patterns, those whose rank sum is as far from its mean as the one seen."""
    values = [value for value in values if value != 0]
    ranks = stats.rankdata(np.abs(values))
    middle = ranks.sum() / 2
    seen = abs(ranks[np.array(values) > 0].sum() - middle)
    signs = np.array(list(product((0, 1), repeat=len(values))))
    return np.mean(abs(signs @ ranks - middle) >= seen - 1e-9)


@pytest.mark.parametrize("n", [5, 7])
def test_signed_rank_test_against_all_sign_patterns(n):
    values = np.random.default_rng(n).normal(0.5, 1.0, n)
    expected = share_of_sign_patterns(values)
    assert signed_rank_test(list(values)) == pytest.approx(expected)
    assert signed_rank_test([0.0, *values]) == pytest.approx(expected)  # zeros are left out
    assert signed_rank_test([0.0, 0.0]) is None
    assert signed_rank_test([]) is None


@pytest.mark.parametrize("n_test", [180, 360, 2000, 10_000])
@pytest.mark.parametrize("seed", range(4))
def test_signed_rank_test_ranks_errors_by_their_counts(n_test, seed):
    """Errors are counts over n_test: differences that tie as counts must tie as fractions, and equal ones are zero."""
    rng = np.random.default_rng(seed)
    first, second = rng.integers(5, 12, (2, 12))
    values = [a / n_test - b / n_test for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    counts = (first - second).tolist()
    assert signed_rank_test(values) == pytest.approx(share_of_sign_patterns(counts), rel=1e-12)


@pytest.mark.parametrize("n", [20, 50])
def test_signed_rank_test_of_many_differences_is_scipys(n):
    """Without ties scipy's is exact up to 50; beyond, both are the normal approximation."""
    values = np.random.default_rng(n).normal(0.3, 1.0, n)
    assert signed_rank_test(list(values)) == pytest.approx(stats.wilcoxon(values, method="exact").pvalue, rel=1e-9)
    more = np.random.default_rng(n).normal(0.1, 1.0, 80)
    assert signed_rank_test(list(more)) == pytest.approx(stats.wilcoxon(more, method="asymptotic").pvalue, rel=1e-6)


def test_signed_rank_test_knows_a_tie_that_rounding_hides():
    """3, 3, -3, 3, 5, -1 and 3 images of 360: 0.1875 of all sign patterns; ranked by the last bit it would be 0.125."""
    second = [11, 17, 23, 31, 12, 19, 26]
    differences = [3, 3, -3, 3, 5, -1, 3]
    values = [(b + d) / 360 - b / 360 for b, d in zip(second, differences, strict=True)]
    assert len(set(map(abs, values))) > len(set(map(abs, differences)))
    assert share_of_sign_patterns(differences) == 0.1875
    assert signed_rank_test(values) == pytest.approx(0.1875, rel=1e-12)


def test_signed_rank_test_of_wilcoxons_sign_example():
    """All five of one sign: 2 of 32 patterns are as extreme; all five equal, too."""
    assert signed_rank_test([0.1, 0.2, 0.3, 0.4, 0.5]) == pytest.approx(2 / 32)
    assert signed_rank_test([0.25] * 5) == pytest.approx(2 / 32)


def test_holm_by_hand():
    """0.01, 0.04, 0.03, 0.005: times 4, 3, 2, 1 in ascending order, never falling: 0.03, 0.06, 0.06, 0.02."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_mcnemar_is_a_sign_test_of_the_items_that_one_alone_gets_wrong():
    """2 against 9 of 11: twice the sum of the binomial coefficients up to 2, over 2^11: 134 / 2048."""
    wrong_a = np.array([True] * 2 + [False] * 9 + [True] * 30 + [False] * 59)
    wrong_b = np.array([False] * 2 + [True] * 9 + [True] * 30 + [False] * 59)
    test = mcnemar(wrong_a, wrong_b)
    assert (test.only_a, test.only_b) == (2, 9)
    assert test.p_value == pytest.approx(2 * (1 + 11 + 55) / 2048)
    assert mcnemar(wrong_a, wrong_a).p_value == 1.0


def test_interquartile_mean_leaves_a_quarter_out_at_each_end():
    assert interquartile_mean([100, 1, 2, 3, 4, -50, 5, 6]) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert interquartile_mean([1.0, 2.0, 9.0]) == pytest.approx(4.0)  # a quarter of three, rounded down, is none


def test_seeds_needed_are_enough_and_one_fewer_is_not():
    """Against 40000 simulated studies: power 0.8 within four standard errors at n, less at n - 1. Effect 0.8 sd: 15."""
    rng = np.random.default_rng(5)
    differences = np.array([0.8 - 1.0, 0.8 + 1.0]) / 2**0.5 + 0.8 * (1 - 1 / 2**0.5)  # mean 0.8, sd 1
    n = seeds_needed(list(differences))
    assert n == 15

    def power(n):
        studies = rng.normal(0.8, 1.0, (40_000, n))
        return (stats.ttest_1samp(studies, 0, axis=1).pvalue < 0.05).mean()

    assert power(n) > 0.8 - 4 * (0.16 / 40_000) ** 0.5
    assert power(n - 1) < 0.8
    assert seeds_needed([1.0, -1.0]) is None
    assert seeds_needed([1e-6, 1.0, -1.0]) is None
    assert seeds_needed([1.0, 1.0]) is None


def test_studies_of_one_arm_against_itself_settle_nothing_but_by_chance():
    """400 families of four arms that are all alike, five seeds: after Holm one of them holds in 5 % at most.

    Four standard errors of that are 4.4 points.
    """
    rng = np.random.default_rng(11)
    families = 0
    for _ in range(400):
        reference = dict(enumerate(rng.normal(0.02, 0.002, 5)))
        arms = [(str(k), difference_of(dict(enumerate(rng.normal(0.02, 0.002, 5))), reference), None) for k in range(4)]
        families += any(comparison.holds for comparison in compare_family(arms))
    assert families / 400 < 0.05 + 4 * (0.05 * 0.95 / 400) ** 0.5
    assert compare_family([("a", difference_of({0: 1.0, 1: 2.0, 2: 3.1}, {0: 0.0, 1: 1.1, 2: 2.0}), None)])[0].holds
