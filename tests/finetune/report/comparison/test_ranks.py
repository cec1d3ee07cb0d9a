"""Ranks over data sets against scipy and Demšar's tables."""

import numpy as np
import pytest
from scipy import stats

from finetune.report.comparison.ranks import critical_difference, friedman_p_value, rank_arms
from finetune.report.pages.parts.ranks_part import ranks_part


@pytest.mark.parametrize(("k", "quantile"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_critical_difference_is_that_of_demsars_table(k, quantile):
    """Table 5a of Demšar (2006), level 0.05."""
    assert critical_difference(k, 14) == pytest.approx(quantile * (k * (k + 1) / (6 * 14)) ** 0.5, abs=2e-3)


def test_friedmans_test_in_iman_and_davenports_form():
    values = np.random.default_rng(0).normal(0, 1, (8, 4)) + 0.5 * np.arange(4)
    chi2 = stats.friedmanchisquare(*values.T).statistic
    f = 7 * chi2 / (8 * 3 - chi2)
    assert friedman_p_value(values) == pytest.approx(stats.f.sf(f, 3, 21))
    assert friedman_p_value(np.tile(np.arange(4.0), (8, 1))) == 0.0
    assert friedman_p_value(np.zeros((8, 4))) == 1.0


def fill(study, errors):
    for index, own in enumerate(errors):
        for name, error in zip(("dbn", "he", "tanh"), own, strict=True):
            study.arm(f"{name}_{index}", [error, error + 0.001], arm=name, data=f"data{index}")


def test_ranks_and_cliques(study):
    """Dbn first in seven of eight, he and tanh by turns: ranks 1.125, 2.3125 and 2.5625; one tie."""
    fill(study, [[0.1, 0.2, 0.3]] * 3 + [[0.1, 0.3, 0.2]] * 3 + [[0.1, 0.2, 0.2], [0.3, 0.2, 0.4]])
    (axis,) = study.axes()
    ranking = rank_arms(axis)
    ranks = {arm.name: arm.rank for arm in ranking.arms}
    assert ranks == {"dbn": 9 / 8, "he": (2 * 3 + 3 * 3 + 2.5 + 1) / 8, "tanh": (3 * 3 + 2 * 3 + 2.5 + 3) / 8}
    assert ranking.critical_difference == pytest.approx(2.343 * 0.5, abs=2e-3)
    assert ranking.cliques == ((1, 2),)
    part = ranks_part(axis, "r")
    assert part.sentences == ("Over 8 data sets dbn ranks before tanh by more than chance.",)
    assert part.grid.rows[0] == ("dbn", "pretrained", ("1.12",))
    assert "critical difference" in part.figure


def test_two_data_sets_have_no_ranks(study):
    fill(study, [[0.1, 0.2, 0.3], [0.1, 0.3, 0.2]])
    (axis,) = study.axes()
    assert ranks_part(axis, "r") is None
