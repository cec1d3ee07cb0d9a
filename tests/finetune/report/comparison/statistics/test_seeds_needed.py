"""Numbers of seeds against simulated intervals."""

import numpy as np
import pytest
from scipy import stats

from finetune.report.comparison.statistics.mean_difference import estimate_difference
from finetune.report.comparison.statistics.seeds_needed import MAX_SEEDS, seeds_needed, seeds_to_settle


@pytest.mark.parametrize("level", [0.05, 0.005])
def test_seeds_needed_are_enough_and_one_fewer_is_not(level):
    """Against 40000 simulated studies: power 0.8 within four standard errors at n, less at n - 1. Effect 0.8 sd."""
    rng = np.random.default_rng(5)
    n = seeds_needed(0.8, 1.0, level)

    def power(n):
        studies = rng.normal(0.8, 1.0, (40_000, n))
        return (stats.ttest_1samp(studies, 0, axis=1).pvalue < level).mean()

    assert power(n) > 0.8 - 4 * (0.16 / 40_000) ** 0.5
    assert power(n - 1) < 0.8
    assert seeds_needed(0.0, 1.0, level) is None
    assert seeds_needed(1e-6, 1.0, level) is None


def test_no_number_of_seeds_settles_what_the_test_images_leave_open():
    """A standard error of 1 from the images and a difference of 2: power stays below 0.52 however many seeds."""
    assert seeds_needed(2.0, 0.1, 0.05, image_part=1.0) is None
    assert seeds_needed(4.0, 1.0, 0.05, image_part=1.0) > seeds_needed(4.0, 1.0, 0.05)


def test_the_range_is_that_of_the_standard_deviation_s_limits():
    """2000 pilot studies of five seeds, difference 1 sd: in 95 % the number that the true sd needs lies in the range.

    The observed mean is the true one. A standard error is 0.5 %.
    """
    rng = np.random.default_rng(6)
    needed, inside = seeds_needed(1.0, 1.0, 0.05), 0
    for _ in range(2000):
        values = rng.normal(0, 1, 5)
        values += 1.0 - values.mean()
        found = seeds_to_settle(estimate_difference(dict(enumerate(values)), dict.fromkeys(range(5), 0.0)), 0.05)
        inside += found.low <= needed <= (found.high or MAX_SEEDS + 1)
    assert inside / 2000 > 0.95 - 4 * (0.05 * 0.95 / 2000) ** 0.5


def test_what_does_not_vary_or_is_not_paired_has_no_number():
    unpaired = estimate_difference({0: 1.0, 1: 1.1, 2: 0.9}, {7: 1.0, 8: 0.9, 9: 1.3})
    assert seeds_to_settle(unpaired, 0.05) is None
    assert seeds_to_settle(estimate_difference({0: 1.0, 1: 2.0, 2: 3.0}, {0: 0.0, 1: 1.0, 2: 2.0}), 0.05) is None
    assert seeds_to_settle(estimate_difference({0: 1.0, 1: 2.0}, {0: 0.0, 1: 1.5}), 0.05) is None
