"""Levels of repeated looks against published boundaries and simulated studies."""

import numpy as np
import pytest
from scipy import stats

from finetune.report.comparison.statistics.alpha_spending import nominal_levels, spent

FIFTHS = [0.2, 0.4, 0.6, 0.8, 1.0]


@pytest.mark.parametrize(
    ("spending", "published"),
    [
        # two-sided 0.05, five equal looks, by Lan and DeMets's functions: R's package ldbounds
        ("obrien_fleming", [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]),
        ("pocock", [2.4380, 2.4268, 2.4101, 2.3966, 2.3859]),
    ],
)
def test_boundaries_are_the_published_ones(spending, published):
    bounds = stats.norm.isf(np.array(nominal_levels(FIFTHS, 0.05, spending)) / 2)
    assert bounds == pytest.approx(published, abs=3e-4)


def test_one_look_at_the_end_is_an_ordinary_test():
    assert nominal_levels([1.0], 0.05) == [pytest.approx(0.05, rel=1e-4)]
    assert spent(1.0, 0.05, "pocock") == pytest.approx(0.05)
    with pytest.raises(ValueError, match="increasing"):
        nominal_levels([0.5, 0.5], 0.05)
    with pytest.raises(ValueError, match="increasing"):
        nominal_levels([0.5, 1.1], 0.05)


def test_studies_of_nothing_that_grow_until_settled_claim_what_one_look_would():
    """4000 studies, t tests at 5, 8, 12, 16 and 20 seeds: at most 5 % with the levels, several times that without.

    Four standard errors are 1.4 points.
    """
    looks = [5, 8, 12, 16, 20]
    levels = nominal_levels([n / 20 for n in looks], 0.05)
    differences = np.random.default_rng(1).normal(0, 1, (4000, 20))
    p = np.array([stats.ttest_1samp(differences[:, :n], 0, axis=1).pvalue for n in looks])
    claimed = (p < np.array(levels)[:, None]).any(0).mean()
    assert claimed < 0.05 + 4 * (0.05 * 0.95 / 4000) ** 0.5
    assert (p < 0.05).any(0).mean() > 0.11
