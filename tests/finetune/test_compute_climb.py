"""The climb in compute through the command, with training replaced by a known function of settings and epochs."""

import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from dbn.errors import DivergenceError
from fake_training import FakeTraining
from finetune import train

CLIMB = ["dbn-finetune", "sweep=compute", "stack.layers=[9]", "training.epochs=10", "n_parallel_seeds=5"]
CLIMB += ["hydra.sweeper.times=[1,3,10,30]", "training.learning_rate=0.1", "optimizer.weight_decay=0.001"]


@pytest.fixture(autouse=True)
def _messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tracebacks: the command sets the variable for good."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")


class Training(FakeTraining):
    """The best learning rate falls with the epochs, 0.1 for 10 of them; decay is best at 1e-4.

    An arm's error falls as the inverse of its epochs to ``plateau``; at another rate or decay it is larger.

    Args:
        plateau: lowest error of each arm.
        diverging: learning rate above which training diverges.
    """

    def __init__(self, plateau: dict[str, float], diverging: float = math.inf) -> None:
        super().__init__()
        self.plateau = plateau
        self.diverging = diverging

    def result(self, config: dict[str, Any]) -> dict[str, Any]:
        epochs, arm = config["training"]["epochs"], config["arm"]["name"]
        rate, decay = config["training"]["learning_rate"], config["optimizer"]["weight_decay"]
        if rate > self.diverging:
            raise DivergenceError("diverged")
        wrong = abs(math.log(rate * epochs)) + abs(math.log(decay / 1e-4))
        error = self.plateau[arm] + 0.1 / epochs + 0.01 * wrong + config["seed"] % 7 / 1e5
        return {
            "epochs": epochs, "kind": "pretrained" if arm.startswith("dbn") else "random",
            "metrics": {"validation/error": error, "test/error": error},
            "flops": {"fine_tuning": 1e9 * epochs, "pretraining": 3e10 if arm.startswith("dbn") else 0},
        }  # fmt: skip


def run(
    training: Training, *overrides: str, monkeypatch: pytest.MonkeyPatch, there: Path
) -> tuple[int, list[tuple[str, int, int]]]:
    """Exit status of the command, and the jobs that it started."""
    monkeypatch.chdir(there)
    monkeypatch.setattr("finetune.runs.network_run.finetune_seeds", training)
    monkeypatch.setattr(sys, "argv", [*CLIMB, *overrides])
    before = len(training.started)
    status = 0
    try:
        train.main()
    except SystemExit as error:
        status = int(error.code or 0)
    return status, training.started[before:]


def longest(started: list[tuple[str, int, int]], arm: str) -> int:
    return max(epochs for name, _, epochs in started if re.match(rf"{arm}_(trial|all)", name))


def test_settings_are_chosen_again_and_a_plateau_ends_the_climb(tmp_path, monkeypatch):
    """Errors at the best settings: dbn 1.0 % + 0.1/epochs gains to 300 epochs; random 2 % stays there too."""
    training = Training({"dbn": 0.01, "random_relu": 0.015})
    status, started = run(training, "arm=dbn,random_relu", monkeypatch=monkeypatch, there=tmp_path)
    assert status == 0
    reported = [(name, seed, epochs) for name, seed, epochs in started if "trial" not in name]
    assert [job for job in reported if job[0].startswith("dbn")] == [
        (f"dbn_all_{epochs}epochs", 0, epochs) for epochs in (10, 30, 100, 300)
    ]
    assert {seed for name, seed, _ in started if "trial" in name} == {1000}
    runs = tmp_path / "runs" / "compute" / "finetune"
    found = {}
    for epochs in (10, 30, 100, 300):
        config = json.loads((runs / f"dbn_all_{epochs}epochs_seed4" / "result.json").read_text())["config"]
        found[epochs] = config["training"]["learning_rate"], config["optimizer"]["weight_decay"]
        assert config["training"]["validate_every"] == epochs // 10
        assert config["stack"]["every_layer"]["epochs"] == epochs // 10, "from one epoch on"
    rates = {epochs: rate for epochs, (rate, _) in found.items()}
    assert all(rates[epochs] == pytest.approx(1 / epochs, rel=0.2) for epochs in rates)
    assert {decay for _, decay in found.values()} == {1e-4}
    page = (tmp_path / "runs" / "compute" / "table.md").read_text()
    assert "by compute" in page
    assert "tuning" not in page.splitlines()[0]


@pytest.mark.parametrize(
    ("rate", "tried", "chosen"),
    [
        (0.1, [0.03333, 0.1, 0.3], 0.1),
        (0.01, [0.003333, 0.01, 0.03, 0.09, 0.27], 0.09),  # 0.27 is beyond, and worse
        (1.0, [0.1111, 0.3333, 1.0, 3.0, 0.03703], 0.1111),
        (0.001, [0.0003333, 0.001, 0.003, 0.009, 0.027], 0.027),  # two more at most
    ],
)
def test_values_beyond_those_tried_are_tried_while_the_best_is_the_last(tmp_path, monkeypatch, rate, tried, chosen):
    """The best rate is 0.1, the best decay 0.0001; with factors of 3 and 10 round what the arm starts from."""
    training = Training({"dbn": 0.01})
    options = ("arm=dbn", "hydra.sweeper.times=[1]", f"training.learning_rate={rate}")
    run(training, *options, monkeypatch=monkeypatch, there=tmp_path)
    runs = tmp_path / "runs" / "compute" / "finetune"
    configs = [json.loads(path.read_text())["config"] for path in runs.glob("*trial*_seed1000/result.json")]
    assert {config["training"]["learning_rate"] for config in configs} == set(tried)
    assert {config["optimizer"]["weight_decay"] for config in configs} == {1e-2, 1e-3, 1e-4, 1e-5}
    config = json.loads((runs / "dbn_all_10epochs_seed0" / "result.json").read_text())["config"]
    assert (config["training"]["learning_rate"], config["optimizer"]["weight_decay"]) == (chosen, 1e-4)


def test_a_rate_beyond_which_training_diverges_is_no_end_to_go_beyond(tmp_path, monkeypatch):
    training = Training({"dbn": 0.01}, diverging=0.02)
    options = ("arm=dbn", "hydra.sweeper.times=[1]", "training.learning_rate=0.01")
    _, started = run(training, *options, monkeypatch=monkeypatch, there=tmp_path)
    assert {name for name, _, _ in started if "trial" in name} == {
        f"dbn_trial{k}_all_10epochs" for k in (0, 1, 2, 3, 4, 7)
    }


def test_an_arm_that_gains_nothing_is_not_trained_longer(tmp_path, monkeypatch):
    """From 100 to 300 epochs 0.067 points are gained, from 30 to 100 0.23: less than 0.1 points end it at 300."""
    training = Training({"dbn": 0.01})
    options = ("arm=dbn", "hydra.sweeper.gain=0.001", "hydra.sweeper.times=[1,3,10,30,100]")
    _, started = run(training, *options, monkeypatch=monkeypatch, there=tmp_path)
    assert longest(started, "dbn") == 300


def test_an_arm_far_behind_the_best_of_its_side_is_cut_from_the_second_step(tmp_path, monkeypatch):
    training = Training({"dbn": 0.01, "dbn_relu": 0.03, "random_relu": 0.05})
    _, started = run(training, "arm=dbn,dbn_relu,random_relu", monkeypatch=monkeypatch, there=tmp_path)
    assert [longest(started, arm) for arm in ("dbn", "dbn_relu", "random_relu")] == [300, 30, 300]


def test_a_trial_that_diverges_is_not_taken(tmp_path, monkeypatch):
    training = Training({"dbn": 0.01}, diverging=0.15)
    status, started = run(
        training, "arm=dbn", "hydra.sweeper.times=[1]", monkeypatch=monkeypatch, there=tmp_path
    )  # fmt: skip
    assert status == 0
    assert ("dbn_all_10epochs", 0, 10) in started


def test_an_error_of_all_jobs_is_the_command_s(tmp_path, monkeypatch, capsys):
    training = Training({"dbn": 0.01}, diverging=0.0)
    status, _ = run(training, "arm=dbn", monkeypatch=monkeypatch, there=tmp_path)
    assert status != 0
    assert "diverged" in capsys.readouterr().err


def test_an_interrupted_climb_goes_on_where_it_was(tmp_path, monkeypatch):
    whole = Training({"dbn": 0.01, "random_relu": 0.015})
    (tmp_path / "whole").mkdir()
    _, expected = run(whole, "arm=dbn,random_relu", monkeypatch=monkeypatch, there=tmp_path / "whole")
    parts = Training({"dbn": 0.01, "random_relu": 0.015})
    (tmp_path / "parts").mkdir()
    done = []
    for stop in (3, 11, 20, math.inf):
        parts.stop_after = stop
        _, started = run(parts, "arm=dbn,random_relu", monkeypatch=monkeypatch, there=tmp_path / "parts")
        done += started
    assert done == expected


@pytest.mark.parametrize(
    ("override", "epochs", "of_method"),
    [
        ("method=rbm", [1, 3], None),
        ("stack.every_layer.epochs=4", [4, 12], None),
        ("hydra.sweeper.pretraining=false", [1, 1], None),
        ("method=dbm", [1, 3], [50, 150]),
    ],
)
def test_pretraining_is_multiplied_alike(tmp_path, monkeypatch, override, epochs, of_method):
    training = Training({"dbn": 0.01})
    more = ["arm=dbn", "hydra.sweeper.times=[1,3]", "stack.layers=[9,8]"]
    status, _ = run(training, *more, override, monkeypatch=monkeypatch, there=tmp_path)
    assert status == 0
    files = [f"runs/compute/finetune/dbn_all_{own}epochs_seed0/result.json" for own in (10, 30)]
    configs = [json.loads((tmp_path / file).read_text())["config"] for file in files]
    assert [config["stack"]["every_layer"]["epochs"] for config in configs] == epochs
    assert [config["method"].get("epochs") for config in configs] == (of_method or [None, None])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("stack.layers=[9,{n_hidden:8,epochs:3}]", "layer 2 has epochs=3 of its own"),
        ("method=up_down", "method.steps="),
    ],
)
def test_pretraining_that_cannot_be_multiplied_is_refused(tmp_path, monkeypatch, capsys, override, words):
    label = [
        "method=up_down",
        "method.steps={0:1,2:3}",
        "stack.layers=[9,{n_hidden:8,hidden:{kind:bernoulli_with_label,n_labels:10}}]",
    ]
    overrides = label if override.startswith("method") else [override]
    training = Training({"dbn": 0.01})
    status, started = run(training, "arm=dbn", *overrides, monkeypatch=monkeypatch, there=tmp_path)
    said = capsys.readouterr().err
    assert status == 2
    assert words in said
    assert "hydra.sweeper.pretraining=false" in said
    assert started == []


INVALID = [
    "hydra.sweeper.times=[3,1]", "hydra.sweeper.times=[]", "hydra.sweeper.rates=[-1]", "hydra.sweeper.widen=-1",
    "hydra.sweeper.pretraining=2",
    "data.validation=0",
]  # fmt: skip


@pytest.mark.parametrize("override", INVALID)
def test_an_invalid_setting_is_refused(tmp_path, monkeypatch, capsys, override):
    training = Training({"dbn": 0.01})
    status, started = run(training, "arm=dbn", override, monkeypatch=monkeypatch, there=tmp_path)
    assert status == 2
    assert started == []
    assert override.split("=")[0] in capsys.readouterr().err
