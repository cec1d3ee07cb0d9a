"""Bootstrap intervals over few seeds: coverage."""

import numpy as np
import pytest
from scipy import special, stats

from finetune.report.comparison.statistics.expanded_bootstrap import bootstrap_over_seeds, expanded_percentiles


def test_expanded_percentiles_of_ten_seeds_by_hand():
    """t(0.975; 9) = 2.2622, times sqrt(10 / 9) = 2.3845: a share of 0.0086 on each side."""
    low, high = expanded_percentiles(10)
    assert low == pytest.approx(special.ndtr(-2.2622 * (10 / 9) ** 0.5), abs=1e-5)
    assert high == 1 - low


def test_a_ratio_of_means_is_covered_as_often_as_said():
    """Ratio of two correlated means, 10 seeds, 400 samples: 95 % within four standard errors, plain less."""
    rng = np.random.default_rng(0)
    covered = plain = 0
    for _ in range(400):
        shared = rng.normal(0, 0.2, 10)
        tables = np.stack([2 + shared + rng.normal(0, 0.3, 10), 1 + shared + rng.normal(0, 0.1, 10)])
        interval = bootstrap_over_seeds(tables, lambda means: means[:, 0] / means[:, 1])
        covered += interval.low <= 2 <= interval.high
        draws = tables[:, rng.integers(0, 10, (999, 10))].mean(-1)
        low, high = np.quantile(draws[0] / draws[1], [0.025, 0.975])
        plain += low <= 2 <= high
    assert abs(covered / 400 - 0.95) < 4 * (0.05 * 0.95 / 400) ** 0.5
    assert plain < covered
    assert bootstrap_over_seeds(np.ones((2, 1)), lambda means: means[:, 0]) is None


def test_a_mean_has_nearly_its_t_interval():
    values = np.random.default_rng(5).normal(0, 1, 12)
    interval = bootstrap_over_seeds(values[None], lambda means: means[:, 0])
    low, high = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    assert (interval.low, interval.high) == (pytest.approx(low, abs=0.15), pytest.approx(high, abs=0.15))
