"""The signed-rank test against all sign patterns and scipy."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from finetune.report.comparison.statistics.wilcoxon import signed_rank_test


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
