"""Quasi-random draws: an arm's and number of labels' own, even on their scale, and what lies on an edge."""

from typing import Any

import numpy as np
import pytest

from dbn.errors import SettingError
from finetune.runs.search_space import draw, edges, widened

SPACE = {
    "training.learning_rate": {"low": 0.003, "high": 1.0, "log": True},
    "network.dropout_hidden": {"low": 0.1, "high": 0.6},
    "training.max_norm": {"choices": [None, 2.0, 3.0, 4.0]},
    "stack.every_layer.epochs": {"low": 5, "high": 45, "log": True, "whole": True},
}


def draws(n: int, arm: str = "dbn", labels: str = "1000", space: Any = SPACE, **more: Any) -> list[dict[str, Any]]:
    return [draw(space, trial, arm=arm, labels=labels, **more) for trial in range(n)]


@pytest.mark.parametrize("arm", ["dbn", "random_relu"])
def test_every_power_of_two_of_trials_covers_every_range_evenly(arm: str) -> None:
    """What a scrambled Sobol sequence promises: one of 32 values in each 32nd of a range, 8 of each of four choices."""
    trials = draws(32, arm)
    rates = np.array([trial["training.learning_rate"] for trial in trials])
    places = np.log(rates / 0.003) / np.log(1 / 0.003)
    assert sorted(np.floor(32 * places).astype(int)) == list(range(32))
    drops = np.array([trial["network.dropout_hidden"] for trial in trials])
    assert sorted(np.floor(32 * (drops - 0.1) / 0.5).astype(int)) == list(range(32))
    norms = [trial["training.max_norm"] for trial in trials]
    assert [norms.count(norm) for norm in (None, 2.0, 3.0, 4.0)] == [8] * 4
    assert all(isinstance(t["stack.every_layer.epochs"], int) for t in trials)


def test_pairs_of_settings_are_covered_evenly_too() -> None:
    """No useful learning rate without another choice: each of four choices in each quarter of the rates."""
    trials = draws(32)
    cells = {(int(4 * np.log(t["training.learning_rate"] / 0.003) / np.log(1 / 0.003)), t["training.max_norm"])
             for t in trials}  # fmt: skip
    assert len(cells) == 16


def test_no_two_arms_and_no_two_numbers_of_labels_share_draws() -> None:
    rates = [
        trial["training.learning_rate"]
        for arm in ("dbn", "random_relu")
        for labels in ("100", "1000")
        for trial in draws(24, arm, labels)
    ]
    assert len(set(rates)) > 90  # of 96, of which few may round to the same four digits


def test_a_trial_is_itself_whatever_was_drawn_before() -> None:
    assert draw(SPACE, 7, arm="dbn", labels="all") == draws(9, labels="all")[7]
    assert draws(3) == draws(3)


def test_a_widened_range_goes_on_by_a_factor_of_three() -> None:
    rates = [t["training.learning_rate"] for t in draws(64, above=["training.learning_rate"])]
    assert 2.7 < max(rates) < 3.0
    assert min(rates) < 0.0035
    low = [t["training.learning_rate"] for t in draws(64, below=["training.learning_rate"])]
    assert 0.001 < min(low) < 0.0011
    assert max(low) < 1.0
    with pytest.raises(SettingError, match=r"search\.above: network\.dropout_hidden has no logarithmic range"):
        widened(SPACE, above=["network.dropout_hidden"])


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(0.0053, "below"), (0.0054, ""), (0.05, ""), (0.558, ""), (0.561, "above")],  # 0.003 x 333^0.1 = 0.00536
)
def test_the_outer_tenth_of_a_logarithmic_range_is_its_edge(rate: float, expected: str) -> None:
    above, below = edges(SPACE, {"training.learning_rate": rate, "training.max_norm": 4.0})
    key = ["training.learning_rate"]
    assert (above, below) == (key if expected == "above" else [], key if expected == "below" else [])


@pytest.mark.parametrize(
    ("dimension", "complaint"),
    [
        ({"low": 0.0, "high": 1.0, "log": True}, "low=0.0"),
        ({"low": 1.0, "high": 1.0}, "high=1.0"),
        ({"low": 1.0}, "give low and high"),
        ({"choices": []}, "choices="),
        ({"low": 0, "hihg": 1}, "hihg"),
        ({"low": 1, "high": 9, "whole": "yes"}, "whole="),
    ],
)
def test_spaces_that_cannot_be_drawn_from_are_named(dimension: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint):
        draws(1, space={"training.learning_rate": dimension})
