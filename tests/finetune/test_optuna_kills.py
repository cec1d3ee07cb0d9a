"""A search by Optuna that is killed between any two records of its file and called again ends as one left alone."""

import math
import sys
from pathlib import Path
from typing import Any

import pytest
from optuna.storages.journal import JournalFileBackend

from fake_training import FakeTraining
from finetune import train
from finetune.runs.optuna_study import OpenTrial, storage_of
from quick_composition import compose_quickly

SEARCH = [
    "dbn-finetune", "sweep=optuna", "arm=random_relu", "stack.layers=[9]", "hydra.sweeper.n_trials=2",
    "hydra.sweeper.sampler.n_startup_trials=1", "search.pruner.n_startup_trials=1", "search.pruner.n_warmup_steps=0",
    "n_parallel_seeds=1", "progress=false",
]  # fmt: skip


class KilledError(BaseException):
    """Stands for SIGKILL: nothing handles it."""


class Training(FakeTraining):
    """Three epochs, after each of which the trial is asked whether it stops; best at a learning rate of 0.05."""

    def result(self, config: dict[str, Any]) -> dict[str, Any]:
        error, trial = abs(config["training"]["learning_rate"] - 0.05), OpenTrial(config)
        stopped = any(trial.report(epochs, error + 1 / epochs) for epochs in (1, 2, 3))
        return {"pretrained": False, "metrics": {"validation/error": error}, "pruned": stopped, "n_parameters": 7}


def search(monkeypatch: pytest.MonkeyPatch, folder: Path, records: float) -> None:
    """A search in a folder, killed when it has written so many records to its file."""
    folder.mkdir(exist_ok=True)
    written = 0
    append = JournalFileBackend.append_logs

    def counted(self: Any, logs: list[Any]) -> None:
        nonlocal written
        if written == records:
            raise KilledError
        written += 1
        append(self, logs)

    with monkeypatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(JournalFileBackend, "append_logs", counted)
        patch.setattr("finetune.runs.network_run.finetune_seeds", Training())
        patch.setattr("finetune.train.at_end", lambda: None)
        patch.setattr(sys, "argv", SEARCH)
        train.main()


def trials(folder: Path) -> list[Any]:
    (journal,) = folder.rglob("journal.log")
    storage = storage_of(journal)
    (study,) = storage.get_all_studies()
    found = storage.get_all_trials(study._study_id)
    return [(one.number, one.state, one.params, one.values, one.intermediate_values, one.user_attrs) for one in found]


def test_killed_after_every_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    compose_quickly(monkeypatch)
    search(monkeypatch, tmp_path / "alone", math.inf)
    expected = trials(tmp_path / "alone")
    assert [one[1].name for one in expected] == ["COMPLETE", "PRUNED"]
    kills, is_over = 0, False
    while not is_over:
        try:
            search(monkeypatch, tmp_path / "killed", 2)  # one is that it opens the study, every time
            is_over = True
        except KilledError:
            kills += 1
        assert kills < 20
    assert trials(tmp_path / "killed") == expected
    assert kills >= 2 * 3, "a trial is asked for, reported, told"
