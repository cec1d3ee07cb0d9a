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
    chosen = chosen["digits"]["100"]
    assert chosen["dbn"]["settings"] == {"training.learning_rate": pytest.approx(0.2)}
    assert chosen["random_relu"]["trial"] == 2
    assert chosen["random_relu"]["trials"] == 3, "a trial that failed was tried, too"
    assert read_chosen(files.chosen, "digits", "random_relu", "100") == {"training.learning_rate": pytest.approx(0.3)}


def test_trials_are_not_compared(study) -> None:
    _trials(study, "dbn", [0.2, 0.1])
    found = read_study(study.directory)
    assert make_sections(found.compared) == []
    (tuning,) = group_trials(found.trials)
    assert tuning.metric == "validation/error"
    assert tuning.arms[0].operations == pytest.approx(8e9)
    page = write_report(study.directory).html.read_text()
    assert "Search with 2 trials for every arm; the lowest" in page
    assert "8.00 GFLOP" in page


def test_unequal_budgets_are_said(study) -> None:
    _trials(study, "dbn", [0.2, 0.1])
    _trials(study, "random_relu", [0.2])
    assert "from 1 to 2 trials: budgets are not equal" in write_report(study.directory).text


def test_each_data_set_and_number_of_labels_has_its_choice(study) -> None:
    _trials(study, "dbn", [0.2, 0.1])
    _trials(study, "random_relu", [0.2, 0.3], data="mnist", n_labelled=None)
    files = write_report(study.directory)
    chosen = json.loads(files.chosen.read_text())
    assert {data: {labels: list(arms) for labels, arms in own.items()} for data, own in chosen.items()} == {
        "digits": {"100": ["dbn"]},
        "mnist": {"all": ["random_relu"]},
    }


def _rung(study, rung: int, errors: dict[int, float], nll: float = 1.0, **config) -> None:
    for number, error in errors.items():
        for seed in (1000, 1001):
            study.run(
                f"dbn_100_trial{number}_rung{rung}", seed, arm="dbn", n_validation=100,
                metrics={"validation/error": error, "validation/nll": nll - number},
                trial={"number": number, "rung": rung, "settings": {"training.learning_rate": 0.9 - 0.2 * number}},
                flops={"pretraining": 100e9, "fine_tuning": 10e9},
                config={"space": {"training.learning_rate": {"low": 0.1, "high": 1.0, "log": True}}, **config},
            )  # fmt: skip


def test_the_last_rung_decides_and_ties_go_to_the_lower_nll(study) -> None:
    _rung(study, 0, {0: 0.1, 1: 0.2, 2: 0.3, 4: 0.5})  # trial 3 failed
    _rung(study, 1, {0: 0.2, 1: 0.2})
    (tuning,) = group_trials(read_study(study.directory).trials)
    (arm,) = tuning.arms
    assert (arm.chosen.number, arm.chosen.rung, arm.failed) == (1, 1, 1)
    assert len(arm.expected) == 4, "of the first rung, on which all were trained equally long"
    assert arm.operations == pytest.approx(4 * 2 * 100e9 + 6 * 2 * 10e9), "a trial pretrains once for all rungs"
    page = write_report(study.directory).html.read_text()
    assert "5 trials for every arm, successive halving (4, 2 by rung)" in page
    assert "on 100 validation images, of equal ones the lower validation NLL" in page


def test_edges_and_widened_ranges_are_named(study) -> None:
    _rung(study, 0, {0: 0.1, 1: 0.2})
    chosen = json.loads(write_report(study.directory).chosen.read_text())["digits"]["100"]["dbn"]
    assert chosen["on_edge"] == ["training.learning_rate"]  # 0.9 of 0.1 to 1
    _rung(study, 1, {0: 0.1}, search={"above": ["training.learning_rate"], "below": []})
    files = write_report(study.directory)
    assert json.loads(files.chosen.read_text())["digits"]["100"]["dbn"]["on_edge"] == []  # 0.9 of 0.1 to 3
    assert "learning_rate widened" not in files.text  # of the first rung's trials none was drawn from it
