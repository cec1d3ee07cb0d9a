"""Importance of settings: shares of variance that are known in closed form."""

import math

import numpy as np
import pytest

from finetune.report.comparison.statistics.importance import FEWEST_TRIALS, importance

SPACE = {
    "rate": {"low": 0.001, "high": 1.0, "log": True},
    "share": {"low": 2.0, "high": 4.0},
    "decay": {"choices": [None, 0.1, "much"]},
}


def trials(n: int) -> list[dict[str, object]]:
    draws = np.random.default_rng(0).random((n, 3))
    return [
        {"rate": 0.001 * 1000**u, "share": 2 + 2 * v, "decay": [None, 0.1, "much"][int(3 * w)]} for u, v, w in draws
    ]


def test_shares_of_a_sum_are_those_of_its_terms() -> None:
    """Variances: 9/12 of three times a uniform number, 1/12 of one, 2/3 of -1, 0 and 1 times the factor squared."""
    weights = {None: -0.5, 0.1: 0.0, "much": 0.5}
    own = trials(600)
    values = [
        3 * math.log10(trial["rate"] / 0.001) / 3 + (trial["share"] - 2) / 2 + weights[trial["decay"]] for trial in own
    ]
    variances = {"rate": 9 / 12, "decay": 0.25 * 2 / 3, "share": 1 / 12}
    found = importance(own, values, SPACE)
    assert found is not None
    assert list(found) == ["rate", "decay", "share"], "the largest first"
    for key, variance in variances.items():
        assert found[key] == pytest.approx(variance / sum(variances.values()), abs=0.05)


def test_what_has_an_effect_only_together_explains_nothing_by_itself() -> None:
    own = trials(600)
    values = [
        math.copysign(1.0, math.log10(trial["rate"]) + 1.5) * math.copysign(1.0, trial["share"] - 3) for trial in own
    ]
    found = importance(own, values, SPACE)
    assert found is not None
    assert sum(found.values()) < 0.1


def test_a_setting_without_effect_has_none_and_one_that_is_not_searched_is_left_out() -> None:
    own = [{**trial, "other": 1} for trial in trials(100)]
    found = importance(own, [float(trial["share"]) for trial in own], SPACE)
    assert found is not None
    assert found.keys() == SPACE.keys()
    assert found["share"] > 0.9
    assert found["rate"] < 0.05


@pytest.mark.parametrize(
    ("n", "values"), [(FEWEST_TRIALS - 1, range(FEWEST_TRIALS - 1)), (FEWEST_TRIALS, [0.5] * FEWEST_TRIALS)]
)
def test_of_few_trials_or_equal_values_nothing_is_said(n: int, values: list[float]) -> None:
    assert importance(trials(n), list(map(float, values)), SPACE) is None
