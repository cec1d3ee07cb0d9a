"""The table of a search by several objectives, on the page of a study."""

from typing import Any

import numpy as np

from finetune.report import write_report
from finetune.report.comparison.trade_offs import undominated


def test_undominated_points_are_those_that_a_search_over_all_pairs_leaves() -> None:
    values = np.random.default_rng(0).integers(0, 30, (40, 3))
    expected = [
        k for k, own in enumerate(values) if not ((values <= own).all(1) & (values < own).any(1)).any()
    ]  # fmt: skip
    assert 1 < len(expected) < 40
    assert undominated(values.tolist()) == expected


def test_trials_between_which_a_person_chooses_are_listed(study: Any) -> None:
    """Of four: 1 is worse than 0 in both, 3 was stopped; two seeds each."""
    errors, operations = [0.2, 0.3, 0.1, 0.05], [1e12, 2e12, 3e12, 4e12]
    for number, (error, cost) in enumerate(zip(errors, operations, strict=True)):
        for seed in (1000, 1001):
            study.run(
                f"dbn_trial{number}", seed, arm="dbn", metrics={"validation/error": error + 0.02 * (seed - 1000)},
                trial={"number": number, "settings": {"training.learning_rate": 0.1 * (number + 1)}},
                flops={"pretraining": 0, "fine_tuning": cost},
                config={"objective": ["validation/error", "operations"], "task": {"name": "classifier"}},
                **({"pruned": True} if number == 3 else {}),
            )  # fmt: skip
    page = write_report(study.directory)
    text = page.text
    assert "No other trial is as good in all of validation error and operations: dbn has 2 of 3 trials." in text
    rows = [line.split() for line in text.splitlines() if line.split()[:1] == ["dbn"] and "TFLOP" in line]
    found = [row for row in rows if row[1] in ("0", "1", "2", "3") and row[4] == "TFLOP"]
    assert [row[1:5] for row in found] == [["2", "11.00", "3.00", "TFLOP"], ["0", "21.00", "1.00", "TFLOP"]]
    assert "several objectives" in page.html.read_text()


def test_a_search_by_one_objective_has_no_such_table(study: Any) -> None:
    study.run(
        "dbn_trial0", 1000, arm="dbn", metrics={"validation/error": 0.1}, trial={"number": 0, "settings": {}},
        config={"objective": "validation/error", "task": {"name": "classifier"}, "seed": 1000},
    )  # fmt: skip
    assert "several objectives" not in write_report(study.directory).text
