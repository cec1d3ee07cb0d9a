"""Numbers of seeds against simulated intervals."""

import numpy as np
from scipy import stats

from finetune.report.comparison.statistics.mean_difference import estimate_difference
from finetune.report.comparison.statistics.seeds_needed import seeds_needed, seeds_to_settle


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


def test_seeds_that_would_settle_are_more_than_there_are() -> None:
    """Of 300 random differences; and there is no number for one that is settled, or whose seeds are not paired."""
    rng = np.random.default_rng(6)
    numbers = []
    for _ in range(300):
        n = int(rng.integers(3, 9))
        difference = estimate_difference(dict(enumerate(rng.normal(0.5, 1.0, n))), dict.fromkeys(range(n), 0.0))
        assert difference is not None
        found = seeds_to_settle(difference)
        assert found == (None if difference.settled else seeds_needed(difference.values))
        numbers += [] if found is None else [found - n]
    assert len(numbers) > 100
    assert min(numbers) > 0
    unpaired = estimate_difference({0: 1.0, 1: 1.1, 2: 0.9}, {7: 1.0, 8: 0.9, 9: 1.3})
    assert unpaired is not None
    assert seeds_to_settle(unpaired) is None
