"""Means over crossed seeds and images: against the analysis of variance, resampling of both, and simulated truth."""

import numpy as np
import pytest
from scipy import stats

from finetune.report.comparison.statistics.crossed import crossed_difference, crossed_mean


def errors(rng, n_seeds, n_images, image_sd=1.0, seed_sd=0.3, threshold=1.3):
    """Two arms' errors: images are hard or easy, and suit one arm more than the other."""
    difficulty = rng.normal(0, 1, n_images)
    return [
        difficulty + image_sd * rng.normal(0, 1, n_images) + seed_sd * rng.normal(0, 1, (n_seeds, 1))
        + rng.normal(0, 1, (n_seeds, n_images)) > threshold
        for _ in range(2)
    ]  # fmt: skip


def test_variance_is_that_of_the_two_way_analysis_of_variance():
    """Mean squares in floating point from their definition, and Satterthwaite's degrees of freedom by hand."""
    a, b = errors(np.random.default_rng(0), 6, 200)
    d = a.astype(float) - b
    S, I = d.shape  # noqa: E741
    rows, columns, mean = d.mean(1, keepdims=True), d.mean(0, keepdims=True), d.mean()
    ms_a = I * ((rows - mean) ** 2).sum() / (S - 1)
    ms_b = S * ((columns - mean) ** 2).sum() / (I - 1)
    ms_e = ((d - rows - columns + mean) ** 2).sum() / ((S - 1) * (I - 1))
    assert ms_e < min(ms_a, ms_b)
    variance = (ms_a + ms_b - ms_e) / (S * I)
    freedom = (ms_a + ms_b - ms_e) ** 2 / (ms_a**2 / (S - 1) + ms_b**2 / (I - 1) + ms_e**2 / ((S - 1) * (I - 1)))
    found = crossed_difference(a, b)
    assert found.mean == pytest.approx(mean)
    assert found.standard_error == pytest.approx(variance**0.5, rel=1e-10)
    assert found.freedom == pytest.approx(freedom, rel=1e-10)
    assert found.seed_error == pytest.approx(stats.sem(d.mean(1)), rel=1e-10)
    assert found.image_error == pytest.approx(stats.sem(d.mean(0)), rel=1e-10)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(mean) / variance**0.5, freedom))
    low, high = stats.t.interval(0.95, freedom, mean, variance**0.5)
    assert (found.interval.low, found.interval.high) == (pytest.approx(low), pytest.approx(high))


def test_variance_is_that_of_resampling_both_seeds_and_images():
    """Owen's pigeonhole bootstrap with 40 seeds and 300 images: its variance is ours and twice the residual's.

    4000 resamples: a standard error of the standard deviation is 1.1 %; the tolerance is four of them and the residual.
    """
    rng = np.random.default_rng(1)
    a, b = errors(rng, 40, 300)
    d = a.astype(float) - b
    means = [d[rng.integers(0, 40, 40)][:, rng.integers(0, 300, 300)].mean() for _ in range(4000)]
    found = crossed_difference(a, b)
    residual = d - d.mean(1, keepdims=True) - d.mean(0, keepdims=True) + d.mean()
    extra = 2 * residual.var() / d.size
    assert np.var(means) == pytest.approx(found.standard_error**2 + extra, rel=0.1)


def test_the_interval_covers_the_truth_for_new_seeds_and_new_images_where_seeds_alone_do_not():
    """1500 pairs of arms that suit different images and are equally good: 95 % within four standard errors.

    Intervals from seeds alone miss zero several times as often, more so with more seeds.
    """
    for n_seeds in (5, 10, 20):
        rng = np.random.default_rng(n_seeds)
        both = alone = 0
        for _ in range(1500):
            a, b = errors(rng, n_seeds, 300, seed_sd=0.05)
            found = crossed_difference(a, b)
            both += found.interval.excludes_zero
            half = stats.t.isf(0.025, n_seeds - 1) * found.seed_error
            alone += abs(found.mean) > half
        assert both / 1500 < 0.05 + 4 * (0.05 * 0.95 / 1500) ** 0.5
        assert both / 1500 > 0.02
        assert alone / 1500 > (0.09 if n_seeds == 5 else 0.15)


def test_where_nothing_varies_there_is_no_test():
    same = np.zeros((5, 50), bool)
    assert crossed_difference(same, same).p_value is None
    assert crossed_mean(same).standard_error == 0
    one = same.copy()
    one[:, 0] = True  # one image differs, in every seed: the images vary, the seeds do not
    found = crossed_difference(one, same)
    assert found.seed_error == 0
    assert found.standard_error == pytest.approx(stats.sem(one[0].astype(float)))
    assert found.image_part == pytest.approx(found.standard_error)


def test_error_of_one_arm_is_its_mean_with_both_parts():
    a, _ = errors(np.random.default_rng(3), 8, 400)
    found = crossed_mean(a)
    assert found.mean == pytest.approx(a.mean())
    assert found.estimate.n_images == 400
    assert found.standard_error >= max(found.seed_error, found.image_error)
