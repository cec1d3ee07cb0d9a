"""Successive halving through the command, with training replaced by a known function of settings and epochs."""

import json
import math
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from dbn.errors import DivergenceError
from fake_training import FakeTraining
from finetune import train
from finetune.rungs import Halving

TUNE = ["dbn-finetune", "sweep=tune", "stack.layers=[9]", "training.epochs=90", "hydra.sweeper.n_widened=3"]
TUNE += ["hydra.sweeper.n_settings=9"]
CLASSIC = Halving(24, 12, 3, 3)


@pytest.fixture(autouse=True)
def _messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tracebacks: the command sets the variable for good."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")


class Training(FakeTraining):
    """Runs are best at ``best`` as learning rate, better with more epochs, and may diverge.

    Args:
        best: the best learning rate.
        diverging: learning rate above which training diverges.
    """

    def __init__(self, best: float, diverging: float = math.inf) -> None:
        super().__init__()
        self.best = best
        self.diverging = diverging

    def result(self, config: dict[str, Any]) -> dict[str, Any]:
        rate = config["training"]["learning_rate"]
        if rate > self.diverging:
            raise DivergenceError("diverged")
        error = abs(math.log(rate / self.best)) + 1 / config["training"]["epochs"] + config["seed"] / 1e6
        return {"pretrained": False, "metrics": {"validation/error": error, "test/error": 1.0}}


def tune(monkeypatch: pytest.MonkeyPatch, training: Training, *more: str) -> None:
    monkeypatch.setattr("finetune.runs.network_run.finetune_seeds", training)
    monkeypatch.setattr(sys, "argv", [*TUNE, *more])
    train.main()


def results() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in Path("runs/tune/finetune").glob("*/result.json")]


def test_numbers_of_trials_and_epochs_are_the_classic_ones() -> None:
    trials = [24]
    while len(trials) < 3:
        trials.append(CLASSIC.survivors(trials[-1]))
    assert trials == [24, 8, 3]
    assert [CLASSIC.epochs(rung, 90) for rung in range(3)] == [10, 30, 90]
    assert [CLASSIC.epochs(rung, 6) for rung in range(3)] == [1, 2, 6]
    assert CLASSIC.survivors(1) == 1


def test_every_arm_and_number_of_labels_has_the_same_rungs_and_the_best_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine trials, of which those with a rate in the highest eighth of the range, one or two, fail; three; one."""
    training = Training(0.05, diverging=0.4)
    tune(monkeypatch, training, "arm=random_relu,random_sigmoid", "labels=n100,n300", "training.epochs=90")
    assert all(seed == 1000 for _, seed, _ in training.started), "three seeds are one job"
    found = results()
    assert {result["seed"] for result in found} == {1000, 1001, 1002}
    for arm in ("random_relu", "random_sigmoid"):
        for labels in (100, 300):
            own = [one for one in found if (one["arm"], one["n_labelled"], one["seed"]) == (arm, labels, 1000)]
            started = [epochs for name, _, epochs in training.started if name.startswith(f"{arm}_{labels}_trial")]
            assert started == [10] * 9 + [30] * 3 + [90]
            rungs = [{one["trial"]["number"]: one["metrics"]["validation/error"] for one in own
                      if one["trial"]["rung"] == rung} for rung in range(3)]  # fmt: skip
            assert len(rungs[0]) in (7, 8)
            for rung, n in ((0, 3), (1, 1)):
                assert set(rungs[rung + 1]) == set(sorted(rungs[rung], key=rungs[rung].__getitem__)[:n])
            chosen = json.loads(Path("runs/tune/chosen.json").read_text())["digits"][str(labels)][arm]
            assert chosen["trial"] == min(rungs[2], key=rungs[2].__getitem__)
            assert chosen["trials"] == 9
            assert chosen["on_edge"] == []


def test_a_range_is_widened_where_the_choice_lies_on_its_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen trials: one has a rate in the highest sixteenth, the best of all up to 1; three more go up to 3."""
    training = Training(2.0)
    tune(monkeypatch, training, "arm=random_relu", "hydra.sweeper.n_settings=16")
    started = [(int(name.split("trial")[1].split("_")[0]), epochs) for name, _, epochs in training.started]
    assert [epochs for number, epochs in started if number < 16] == [10] * 16 + [30] * 5 + [90] * 2
    assert [own for own in started if own[0] >= 16 and own[1] == 10] == [(16, 10), (17, 10), (18, 10)]
    assert [epochs for number, epochs in started if number >= 16] == [10] * 3 + [30] + [90]
    for one in results():
        assert one["config"]["search"]["above"] == (["training.learning_rate"] if one["trial"]["number"] > 15 else None)
    ends = {one["trial"]["number"]: one["metrics"]["validation/error"] for one in results()
            if (one["trial"]["rung"], one["seed"]) == (2, 1000)}  # fmt: skip
    chosen = json.loads(Path("runs/tune/chosen.json").read_text())["digits"]["all"]["random_relu"]
    assert chosen["trial"] == min(ends, key=ends.__getitem__)
    assert chosen["trials"] == 19
    assert "learning_rate widened" in Path("runs/tune/report.html").read_text()


def test_a_search_that_was_interrupted_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of the first rung and of the second; what is done is not done again."""
    whole, training = Training(0.05), Training(0.05)
    for stop in (5, 11):
        training.stop_after = stop
        with pytest.raises(SystemExit):
            tune(monkeypatch, training, "arm=random_relu")
    training.stop_after = math.inf
    tune(monkeypatch, training, "arm=random_relu")
    tune(monkeypatch, whole, "arm=random_relu", "paths.runs=whole")
    assert training.started == whole.started
    assert len(training.started) == 13
    assert Path("runs/tune/chosen.json").read_bytes() == Path("whole/tune/chosen.json").read_bytes()


def test_the_plan_holds_every_job_and_its_command_does_one(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(0.05)
    tune(monkeypatch, training, "arm=random_relu")
    jobs = json.loads(Path("runs/tune/sweep.json").read_text())["jobs"]
    assert {(job["name"], job["seed"]) for job in jobs if job["seed"] == 1000} == {own[:2] for own in training.started}
    job = next(job for job in jobs if (job["name"], job["seed"]) == training.started[-1][:2])
    for path in Path("runs/tune/finetune").glob(f"{job['name']}_seed*/result.json"):
        path.unlink()
    n = len(training.started)
    monkeypatch.setattr(sys, "argv", shlex.split(job["command"]))
    train.main()
    assert training.started[n:] == [training.started[n - 1]]


def test_the_error_is_shown_if_every_trial_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        tune(monkeypatch, Training(0.05, diverging=0.0), "arm=random_relu")
    assert "diverged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "message"),
    [("hydra.sweeper.n_rungs=0", "hydra.sweeper.n_rungs=0: it must be"), ("data.validation=0", "data.validation=0")],
)
def test_a_search_that_cannot_be_is_refused(
    override: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        tune(monkeypatch, Training(0.05), override)
    assert message in capsys.readouterr().err
