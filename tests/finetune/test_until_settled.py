"""seeds=until_settled through the command, with training replaced by known errors for each arm and seed."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_training import FakeTraining
from finetune import train

GROW = ["dbn-finetune", "seeds=until_settled", "arm=dbn,random_relu", "stack.layers=[9]", "study=growing"]


@pytest.fixture(autouse=True)
def _messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tracebacks: the command sets the variable for good."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")


class Training(FakeTraining):
    """Normal errors round a mean for each arm, the same for a seed whenever it is trained.

    Args:
        means: error of each arm.
    """

    def __init__(self, means: dict[str, float]) -> None:
        super().__init__()
        self.means = means

    @property
    def batches(self) -> list[tuple[str, int]]:
        """Name and first seed of every job, in order."""
        return [(name, seed) for name, seed, _ in self.started]

    def result(self, config: dict[str, Any]) -> dict[str, Any]:
        arm = config["arm"]["name"]
        noise = np.random.default_rng([config["seed"], len(arm)]).standard_normal()
        error = self.means[arm] + 0.001 * noise
        kind = "pretrained" if arm.startswith("dbn") else "random"
        return {"kind": kind, "metrics": {"validation/error": error, "test/error": error}}


def seeds(there: Path) -> list[int]:
    """Seeds of the runs of each arm, which are the same."""
    found = {arm: sorted(int(path.name.rpartition("seed")[2]) for path in there.glob(f"runs/growing/finetune/{arm}_*"))
             for arm in ("dbn", "random_relu")}  # fmt: skip
    assert found["dbn"] == found["random_relu"]
    return found["dbn"]


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
    assert training.batches == [("dbn", 0), ("random_relu", 0)]
    assert seeds(tmp_path) == [0, 1, 2, 3, 4]
    assert looks(tmp_path) == [5]
    assert "Pretraining wins" in capsys.readouterr().out


def test_no_difference_takes_all_seeds_and_is_said_at_the_end_only(tmp_path, monkeypatch, capsys):
    training = Training({"dbn": 0.05, "random_relu": 0.05})
    assert run(training, "seed=100", "report.margin=0.2", monkeypatch=monkeypatch, there=tmp_path) == 0
    assert training.batches == [(arm, 100 + 5 * k) for k in range(4) for arm in ("dbn", "random_relu")]
    assert seeds(tmp_path) == list(range(100, 120))
    assert looks(tmp_path) == [5, 10, 15, 20]
    assert capsys.readouterr().out.count("No difference that matters") == 1


def test_an_interrupted_study_goes_on_and_looks_no_more_often(tmp_path, monkeypatch):
    training = Training({"dbn": 0.05, "random_relu": 0.05})
    options = ("hydra.sweeper.first=6", "hydra.sweeper.step=3", "hydra.sweeper.max_seeds=10")
    training.stop_after = 3
    assert run(training, *options, monkeypatch=monkeypatch, there=tmp_path) == 130
    training.stop_after = math.inf
    assert run(training, *options, monkeypatch=monkeypatch, there=tmp_path) == 0
    assert training.batches == [(arm, start) for start in (0, 6, 9) for arm in ("dbn", "random_relu")]
    assert seeds(tmp_path) == list(range(10))
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
