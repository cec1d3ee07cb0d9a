"""seeds=until_settled through the command, with training replaced by known errors for each arm and seed."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dbn.files import write_json
from dbn.runs.seeds import by_seed
from finetune import train
from finetune.runs.network_run import finetuning_directory

GROW = ["dbn-finetune", "seeds=until_settled", "arm=dbn,random_relu", "stack.layers=[9]", "study=growing"]


@pytest.fixture(autouse=True)
def _messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tracebacks: the command sets the variable for good."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")


class Training:
    """In place of training: normal errors round a mean for each arm, the same for a seed whenever it is trained.

    Args:
        means: error of each arm.

    Attributes:
        started: arm, first seed and number of seeds of every job, in order.
        stop_after: number of jobs after which the user interrupts.
    """

    def __init__(self, means: dict[str, float]) -> None:
        self.means = means
        self.started: list[tuple[str, int, int]] = []
        self.stop_after = math.inf

    def __call__(self, config: dict[str, Any], _: list[str]) -> list[dict[str, Any]]:
        directories = [finetuning_directory(own) for own in by_seed(config)]
        if all((directory / "result.json").is_file() for directory in directories):
            return []
        if len(self.started) == self.stop_after:
            raise KeyboardInterrupt
        arm = config["arm"]["name"]
        self.started.append((arm, config["seed"], config["n_parallel_seeds"]))
        for own, directory in zip(by_seed(config), directories, strict=True):
            noise = np.random.default_rng([own["seed"], len(arm)]).standard_normal()
            error = self.means[arm] + 0.001 * noise
            write_json(directory / "result.json", {
                "study": own["study"], "stage": "finetune", "task": "classifier", "name": own["name"], "arm": arm,
                "seed": own["seed"], "data": "digits", "n_labelled": None, "config": own,
                "kind": "pretrained" if arm.startswith("dbn") else "random",
                "metrics": {"validation/error": error, "test/error": error},
            })  # fmt: skip
        return []


def run(training: Training, *overrides: str, monkeypatch: pytest.MonkeyPatch, there: Path) -> int:
    """Exit status of the command."""
    monkeypatch.chdir(there)
    monkeypatch.setattr("finetune.runs.network_run.finetune_seeds", training)
    monkeypatch.setattr(sys, "argv", [*GROW, *overrides])
    try:
        train.main()
    except SystemExit as error:
        return int(error.code or 0)
    return 0


def looks(there: Path) -> list[int]:
    (own,) = json.loads((there / "runs" / "growing" / "looks.json").read_text())["sections"].values()
    return [one["seeds"] for one in own]


def test_a_large_difference_ends_at_the_first_look(tmp_path, monkeypatch, capsys):
    training = Training({"dbn": 0.01, "random_relu": 0.05})
    assert run(training, monkeypatch=monkeypatch, there=tmp_path) == 0
    assert training.started == [("dbn", 0, 5), ("random_relu", 0, 5)]
    assert looks(tmp_path) == [5]
    assert "Pretraining wins" in capsys.readouterr().out


def test_no_difference_takes_all_seeds_and_is_said_at_the_end_only(tmp_path, monkeypatch, capsys):
    training = Training({"dbn": 0.05, "random_relu": 0.05})
    assert run(training, "seed=100", "report.margin=0.2", monkeypatch=monkeypatch, there=tmp_path) == 0
    assert training.started == [(arm, 100 + 5 * k, 5) for k in range(4) for arm in ("dbn", "random_relu")]
    assert looks(tmp_path) == [5, 10, 15, 20]
    assert capsys.readouterr().out.count("No difference that matters") == 1


def test_an_interrupted_study_goes_on_and_looks_no_more_often(tmp_path, monkeypatch):
    training = Training({"dbn": 0.05, "random_relu": 0.05})
    options = ("hydra.sweeper.first=6", "hydra.sweeper.step=3", "hydra.sweeper.max_seeds=10")
    training.stop_after = 3
    assert run(training, *options, monkeypatch=monkeypatch, there=tmp_path) == 130
    training.stop_after = math.inf
    assert run(training, *options, monkeypatch=monkeypatch, there=tmp_path) == 0
    assert training.started == [
        (arm, start, n) for start, n in ((0, 6), (6, 3), (9, 1)) for arm in ("dbn", "random_relu")
    ]
    assert looks(tmp_path) == [6, 9, 10]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seed=0,1", "adds seeds by itself"),
        ("hydra.sweeper.first=3", "hydra.sweeper.first=3"),
        ("hydra.sweeper.max_seeds=4", "hydra.sweeper.max_seeds=4"),
        ("hydra.sweeper.step=0", "hydra.sweeper.step=0"),
    ],
)
def test_what_cannot_be_is_refused_before_training(override, words, tmp_path, monkeypatch, capsys):
    training = Training({"dbn": 0.05, "random_relu": 0.05})
    assert run(training, override, monkeypatch=monkeypatch, there=tmp_path) == 2
    assert words in capsys.readouterr().err
    assert not training.started
