"""The expected best of k trials against all subsets, and its bias against that of the form with replacement."""

from itertools import combinations

import numpy as np
import pytest

from finetune.report.comparison.statistics.expected_best import expected_best, expected_best_intervals


def test_expected_best_is_the_mean_minimum_of_all_subsets():
    values = [0.3, 0.1, 0.2, 0.2, 0.5, 0.4]
    expected = [np.mean([min(subset) for subset in combinations(values, k)]) for k in range(1, 7)]
    assert expected_best(values) == pytest.approx(expected)
    assert expected_best([0.7]) == [0.7]


def test_it_is_unbiased_where_the_form_with_replacement_is_not():
    """12 uniform values, 4000 searches: the minimum of k has mean 1 / (k + 1), of 12 1/13 = 0.077.

    A standard error at k = 12 is 0.001, four of them the tolerance. With replacement it would be 0.11.
    """
    rng = np.random.default_rng(0)
    searches = rng.random((4000, 12))
    found = np.mean([expected_best(values) for values in searches], axis=0)
    truth = 1 / (np.arange(1, 13) + 1)
    assert np.abs(found - truth).max() < 0.0045
    ordered = np.sort(searches, axis=1)
    shares = np.arange(12) / 12
    replaced = (ordered * ((1 - shares) ** 12 - (1 - shares - 1 / 12) ** 12)).sum(1).mean()
    assert replaced - truth[-1] > 0.02


def test_intervals_cover_up_to_a_third_of_the_trials_and_end_there():
    """24 trials, exponential values, 400 searches: 90 % for k = 1, 4 and 8, less four standard errors (6 points)."""
    rng = np.random.default_rng(1)
    k = [1, 4, 8]
    truth = [1.0, 1 / 4, 1 / 8]  # the minimum of k exponentials is exponential with mean 1 / k
    covered = np.zeros(3)
    for _ in range(400):
        intervals = expected_best_intervals(list(rng.exponential(1, 24)))
        assert intervals[8:] == [None] * 16
        covered += [intervals[n - 1].low <= t <= intervals[n - 1].high for n, t in zip(k, truth, strict=True)]
    assert (covered / 400 > 0.84).all()
