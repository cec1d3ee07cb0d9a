"""Compute as an axis: plateaus, equal budgets and the sections that follow, on studies whose answers are known."""

from dataclasses import replace

import pytest

from finetune.report import write_report
from finetune.report.comparison.compute_curves import common_budget, compute_curves, ladder_ends
from finetune.report.comparison.headline import decide_headline
from finetune.report.comparison.study_sections import study_sections
from finetune.report.results.study import read_study, tuning_trials

NOISE = (-0.0004, 0.0003, 0.0001, -0.0002, 0.0002)


def train(study, arm, epochs, error, flops, seeds=range(5), trial=None):
    """Runs of an arm for a number of epochs: validation as test, ``flops`` operations in all."""
    for seed, noise in zip(seeds, NOISE if arm.startswith("dbn") else NOISE[::-1], strict=False):
        study.run(
            f"{arm}_{epochs}" + ("" if trial is None else f"_trial{trial}"), seed, arm=arm, epochs=epochs,
            pretrained=arm.startswith("dbn"),
            metrics={"test/error": error + noise, "validation/error": error + noise},
            flops={"fine_tuning": flops}, config={"training": {"epochs": epochs}},
            trial=None if trial is None else {"number": trial, "settings": {}},
        )  # fmt: skip


@pytest.fixture
def trained(study):
    """The random arm is behind at 10 TFLOP, and ahead where both have trained as long as they gain."""
    for epochs, error, flops in ((10, 0.030, 10e12), (30, 0.0298, 12e12)):
        train(study, "dbn", epochs, error, flops)
    for epochs, error, flops in ((10, 0.050, 1e12), (30, 0.040, 3e12), (100, 0.032, 10e12), (300, 0.020, 30e12)):
        train(study, "random_relu", epochs, error, flops)
    return study


@pytest.mark.parametrize(
    ("values", "ends"),
    [
        ([0.05], False),  # one rung shows no gain
        ([0.05, 0.0494], False),
        ([0.05, 0.0496], True),
        ([0.05, 0.051], True),
        ([0.05, 0.051, 0.0498], True),  # less than 0.05 points below the best before
        ([0.05, 0.051, 0.049], False),
        ([0.05, None], False),
    ],
)
def test_a_curve_ends_where_a_step_gains_less_than_a_twentieth_of_a_point(values, ends):
    assert ladder_ends(values) is ends


def test_curves_of_a_study(trained):
    dbn, random = sorted(compute_curves(read_study(trained.directory).compared), key=lambda curve: curve.name)
    assert [(rung.epochs, rung.operations, len(rung.runs)) for rung in random.rungs] == [
        (10, 1e12, 5), (30, 3e12, 5), (100, 10e12, 5), (300, 30e12, 5),
    ]  # fmt: skip
    assert (dbn.ends, random.ends) == (True, False)
    assert (dbn.chosen.epochs, random.chosen.epochs) == (30, 300)
    assert [random.within(x) and random.within(x).epochs for x in (0.5e12, 1e12, 9e12, 1e15)] == [None, 10, 30, 300]
    assert common_budget([dbn, random]) == 12e12
    assert common_budget([dbn]) is None
    assert common_budget([dbn, replace(random, rungs=random.rungs[:2])]) is None
    assert common_budget([dbn, replace(random, rungs=(random.rungs[0], random.rungs[3]))]) is None, (
        "1 and 30 for 10, 12"
    )


def test_the_two_comparisons_may_come_to_opposite_verdicts(trained):
    longest, equal = study_sections(read_study(trained.directory).compared)
    assert longest.title == (
        "digits, classifier, 100 labels, each arm trained as long as it gains (1 of 2 arms still gain by more training)"
    )
    assert equal.title == "digits, classifier, 100 labels, equal operations (up to 12.00 TFLOP)"
    assert [decide_headline(section) for section in (longest, equal)] == ["random", "pretrained"]
    assert {arm.name: arm.runs[0].epochs for arm in longest.arms} == {"dbn": 30, "random_relu": 300}
    assert {arm.name: arm.runs[0].epochs for arm in equal.arms} == {"dbn": 30, "random_relu": 100}


def test_there_is_no_verdict_at_equal_operations_where_one_side_has_spent_half(study):
    """However well the pretrained arm does with twice the operations."""
    train(study, "dbn", 10, 0.03, 2e12)
    train(study, "dbn", 30, 0.01, 6e12)
    for epochs, flops in ((10, 1e12), (30, 3e12), (100, 10e12)):
        train(study, "random_relu", epochs, 0.04, flops)
    (longest,) = study_sections(read_study(study.directory).compared)
    assert "as long as it gains" in longest.title
    table = write_report(study.directory).table.read_text(encoding="utf-8")
    assert "there is no verdict at equal operations" in table


def test_arms_are_chosen_by_the_trials_of_the_epochs_that_are_compared(trained):
    """A second random arm is better in the compared seeds; the trials, on other seeds, prefer the first."""
    for epochs, error, flops in ((10, 0.049, 1e12), (300, 0.019, 30e12)):
        train(trained, "random_tanh", epochs, error, flops)
    for arm, epochs, error in (
        ("dbn", 30, 0.03), ("random_relu", 10, 0.9), ("random_relu", 300, 0.02), ("random_tanh", 300, 0.04),
    ):  # fmt: skip
        train(trained, arm, epochs, error, 1e12, seeds=range(1000, 1002), trial=0)
    study = read_study(trained.directory)
    longest, _ = study_sections(study.compared, trials=tuning_trials(study))
    assert longest.choice.on == "tuning"
    assert longest.best_random.name == "random_relu"


def test_a_study_that_also_varies_something_else_has_no_curves(trained):
    for seed in range(5):
        trained.run(
            "dbn_30_rate=1", seed, 0.1, arm="dbn", epochs=30, flops={"fine_tuning": 12e12},
            config={"training": {"epochs": 30}},
        )  # fmt: skip
    assert [curve.name for curve in compute_curves(read_study(trained.directory).compared)] == ["random_relu"]


def test_the_page_shows_both_comparisons_and_the_curves(trained):
    files = write_report(trained.directory)
    page, table = (path.read_text(encoding="utf-8") for path in (files.html, files.table))
    assert "digits, classifier, 100 labels: by compute" in page
    assert "Not at a plateau yet: random_relu." in page
    rows = [line for line in table.splitlines() if line.startswith("| random_relu |")]
    assert any("2.00 ± 0.04 (30.00 TFLOP)" in row and row.endswith("| not reached |") for row in rows)
    assert "Both sides have spent 12.00 TFLOP, within a quarter." in table


def test_a_choice_written_before_the_first_step_ended_does_not_stay(study, caplog):
    """A report of an interrupted study knows its trials alone; each length has settings of its own in the end."""
    for arm in ("dbn", "random_relu"):
        train(study, arm, 10, 0.03, 1e12, seeds=range(1000, 1002), trial=0)
    chosen = write_report(study.directory).chosen
    assert chosen is not None
    kept = chosen.read_bytes()
    for arm in ("dbn", "random_relu"):
        train(study, arm, 10, 0.03, 1e12)
        train(study, arm, 30, 0.02, 3e12)
    assert write_report(study.directory).chosen is None
    assert chosen.read_bytes() == kept, "a search, and arms trained for several lengths beside it, make no climb"
    train(study, "dbn", 30, 0.02, 3e12, seeds=range(1000, 1002), trial=0)
    assert write_report(study.directory).chosen is None
    assert not chosen.exists()
    assert f"{chosen}: removed" in caplog.text
