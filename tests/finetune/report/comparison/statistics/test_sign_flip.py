"""The sign-flip test against enumeration by scipy, and its size where the differences are heavy-tailed."""

import numpy as np
import pytest
from scipy import stats

from finetune.report.comparison.statistics.sign_flip import sign_flip_test


@pytest.mark.parametrize("n", [3, 6, 10])
def test_against_scipys_permutations(n):
    values = np.random.default_rng(n).normal(0.4, 1.0, n)
    expected = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=2**n).pvalue
    assert sign_flip_test(list(values)) == pytest.approx(expected)


def test_five_seeds_of_one_sign_have_two_patterns_of_thirty_two():
    assert sign_flip_test([0.1, 0.2, 0.3, 0.4, 0.5]) == 2 / 32
    assert sign_flip_test([0.3 - 0.2, 0.2 - 0.1, -0.1, 0.1]) == sign_flip_test([1, 1, -1, 1])  # ties but for rounding
    assert sign_flip_test([0.0, 0.0]) is None
    assert sign_flip_test([]) is None


def test_more_differences_than_can_be_enumerated_are_sampled_the_same_every_time():
    """Against the normal limit: 40 values, 100000 patterns."""
    values = list(np.random.default_rng(2).normal(0.3, 1.0, 40))
    found = sign_flip_test(values)
    limit = 2 * stats.norm.sf(abs(np.sum(values)) / np.sqrt(np.square(values).sum()))
    assert found == pytest.approx(limit, rel=0.1)
    assert sign_flip_test(values) == found
    assert sign_flip_test([1.0] * 30) == pytest.approx(1e-5, rel=1e-3)  # never zero


def test_size_is_exact_for_any_symmetric_differences():
    """Differences of two arms that fail alike, 8 seeds, 4000 studies: at most 5 % within four standard errors."""
    rng = np.random.default_rng(4)
    arms = rng.normal(0, 1, (4000, 2, 8)) + 30 * (rng.random((4000, 2, 8)) < 0.1)
    claimed = np.mean([sign_flip_test(one[0] - one[1]) <= 0.05 for one in arms])
    assert claimed < 0.05 + 4 * (0.05 * 0.95 / 4000) ** 0.5
