"""Trials that are behind others stop: where, what is reported, and that they stop there again."""

from pathlib import Path
from typing import Any

import optuna
import pytest

from dbn.errors import DataError, SettingError
from dbn.fitting.metrics_file import MetricsFile
from finetune.runs import network_run
from finetune.runs.network_run import finetune_seeds, finetuning_directory
from finetune.runs.optuna_study import storage_of
from helpers import Composer

TRIAL = [
    "sweep=optuna",
    "arm=random_relu",
    "stack.layers=[8]",
    "training.epochs=5",
    "search.trial=3",
    "checkpoint_seconds=0",
]
TRIAL += ["search.pruner.n_startup_trials=1", "search.pruner.n_warmup_steps=3", "seed=0", "n_parallel_seeds=1"]


def study_with(values: list[float], runs: Path) -> optuna.Study:
    """A study of three trials with these values after every epoch, and one that runs."""
    storage = storage_of(runs / "optuna" / "optuna" / "journal.log")
    study = optuna.create_study(storage=storage, study_name="random_relu_all")
    for value in values:
        trial = study.ask()
        for epoch in range(1, 6):
            trial.report(value, epoch)
        study.tell(trial, value)
    study.ask()
    return study


def trained(compose: Composer, *more: str) -> tuple[list[dict[str, Any]], Path]:
    """Results of the trial that runs, and the directory of its first seed."""
    config = compose("finetune", [*TRIAL, *more])
    return finetune_seeds(config), finetuning_directory(config)


def rows(directory: Path) -> dict[int, float]:
    """Validation error by number of epochs, from metrics.csv."""
    return {
        epoch + 1: float(row["validation/error"]) for epoch, row in MetricsFile(directory / "metrics.csv").rows.items()
    }


def test_a_trial_that_is_behind_stops_and_stops_there_again(
    tmp_path: Path, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted when all but its result was done; made again after it was told; and seen by what it left."""
    study = study_with([0.0, 0.0, 0.0], tmp_path / "runs")
    with monkeypatch.context() as crash:
        crash.setattr(network_run, "_finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            trained(compose)
    (result,), directory = trained(compose)
    assert (result["pruned"], result["epochs"]) == (True, 3)
    assert study.trials[3].intermediate_values == pytest.approx(rows(directory))
    study.tell(3, state=optuna.trial.TrialState.PRUNED)
    weights = (directory / "network.safetensors").read_bytes()
    for path in sorted(directory.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (again,), _ = trained(compose)
    assert (again["pruned"], again["epochs"], again["metrics"]) == (True, 3, result["metrics"])
    assert (directory / "network.safetensors").read_bytes() == weights


def test_seeds_that_train_together_report_their_mean_and_stop_together(tmp_path: Path, compose: Composer) -> None:
    study = study_with([0.0, 0.0, 0.0], tmp_path / "runs")
    results, directory = trained(compose, "n_parallel_seeds=2")
    assert [(one["pruned"], one["epochs"]) for one in results] == [(True, 3)] * 2
    each = [rows(directory.with_name(directory.name.replace("seed0", f"seed{seed}"))) for seed in (0, 1)]
    means = {epoch: (each[0][epoch] + each[1][epoch]) / 2 for epoch in each[0]}
    assert study.trials[3].intermediate_values == pytest.approx(means)


def test_a_trial_that_is_ahead_trains_to_its_end(tmp_path: Path, compose: Composer) -> None:
    """As it does without a pruner: the same weights."""
    study_with([1.0, 1.0, 1.0], tmp_path / "runs")
    (result,), directory = trained(compose)
    assert (result["pruned"], result["epochs"]) == (False, 5)
    (alone,), other = trained(compose, "search.pruner=null", "study=alone")
    assert "pruned" not in alone
    assert (directory / "network.safetensors").read_bytes()[-1000:] == (other / "network.safetensors").read_bytes()[
        -1000:
    ]


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ("search.trial=4", DataError, "has no trial 4 of random_relu_all"),
        ("study=other", DataError, "search.pruner=null trains it"),
        ("search.trial=null", SettingError, "this run is none"),
    ],
)
def test_a_run_that_optuna_does_not_know_is_refused(
    override: str, error: type[Exception], message: str, tmp_path: Path, compose: Composer
) -> None:
    study_with([0.0], tmp_path / "runs")
    with pytest.raises(error, match=message):
        trained(compose, override)
