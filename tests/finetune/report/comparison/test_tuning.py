"""Random searches: what is chosen, the expected best value, and the file that sweep=final reads."""

import json

import pytest

from finetune.report import write_report
from finetune.report.comparison.sections import make_sections
from finetune.report.comparison.tuning import group_trials
from finetune.report.results.study import read_study
from finetune.runs.search import read_chosen


def _trials(study, arm: str, errors: list[float | None], **content) -> None:
    for number, error in enumerate(errors):
        study.run(
            f"{arm}_trial{number}", 1000, arm=arm, pretrained=arm == "dbn",
            metrics={} if error is None else {"validation/error": error, "test/error": 0.5},
            trial={"number": number, "settings": {"training.learning_rate": 0.1 * (number + 1)}},
            flops={"pretraining": 3e9, "fine_tuning": 1e9}, **content,
        )  # fmt: skip


def test_the_lowest_validation_value_is_chosen_and_kept(study) -> None:
    _trials(study, "dbn", [0.2, 0.1, 0.3])
    _trials(study, "random_relu", [None, 0.4, 0.2])
    files = write_report(study.directory)
    assert "Failed trials are left out." in files.html.read_text()
    assert files.chosen == study.directory / "chosen.json"
    chosen = json.loads(files.chosen.read_text())
    assert chosen["dbn"]["settings"] == {"training.learning_rate": pytest.approx(0.2)}
    assert chosen["random_relu"]["trial"] == 2
    assert chosen["random_relu"]["trials"] == 3, "a trial that failed was tried, too"
    assert read_chosen(files.chosen, "random_relu") == {"training.learning_rate": pytest.approx(0.3)}


def test_trials_are_not_compared(study) -> None:
    _trials(study, "dbn", [0.2, 0.1])
    found = read_study(study.directory)
    assert make_sections(found.compared) == []
    (tuning,) = group_trials(found.trials)
    assert tuning.metric == "validation/error"
    assert tuning.arms[0].cost("total_flops") == pytest.approx(4e9)
    page = write_report(study.directory).html.read_text()
    assert "Random search with 2 trials for every arm" in page
    assert "4.00 GFLOP" in page


def test_unequal_budgets_are_said(study) -> None:
    _trials(study, "dbn", [0.2, 0.1])
    _trials(study, "random_relu", [0.2])
    assert "from 1 to 2 trials: budgets are not equal" in write_report(study.directory).text


def test_several_data_sets_leave_no_one_choice(study) -> None:
    _trials(study, "dbn", [0.2, 0.1])
    _trials(study, "random_relu", [0.2, 0.3], data="mnist")
    assert write_report(study.directory).chosen is None
