"""``sweep=optuna`` whose trials are tasks of SLURM's arrays: one diverges, and what waited for them is killed."""

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from cluster.slurm import Cluster
from finetune.runs.optuna_study import storage_of

TOO_HIGH = 1e18
SEARCH = [
    "--config-dir=mine", "sweep=optuna", "arm=random_relu", "space=rates", "n_parallel_seeds=2",
    "hydra/launcher=slurm_cpu", "hydra.launcher.cpus_per_task=1", "hydra.sweeper.n_together=2",
    "stack.layers=[12,12]", "training.batch_size=50", "checkpoint_seconds=0",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _commands_and_space(cluster: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search space of the user's own: three learning rates, of which one is too high."""
    monkeypatch.setitem(cluster.environment, "PATH", f"{Path(sys.executable).parent}:{cluster.environment['PATH']}")
    file = folder / "mine/space/rates.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(f"training.learning_rate: {{choices: [0.1, 0.2, {TOO_HIGH}]}}\n")


def operations(folder: Path) -> list[dict[str, Any]]:
    """What was written into Optuna's file, each with its writer."""
    return [json.loads(line) for line in (folder / "runs/optuna/optuna/journal.log").read_text().splitlines()]


def trials(folder: Path) -> list[Any]:
    """What Optuna's file says of the trials."""
    storage = storage_of(folder / "runs/optuna/optuna/journal.log")
    found: list[Any] = optuna.load_study(study_name="random_relu_all", storage=storage).trials
    return found


def results(folder: Path) -> dict[int, list[dict[str, Any]]]:
    """Results by trial."""
    found: dict[int, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("runs/optuna/finetune/*/result.json")):
        result = json.loads(path.read_text())
        found.setdefault(result["trial"]["number"], []).append(result)
    return found


def process(folder: Path, trial: int) -> dict[str, Any]:
    """The process that works on a trial."""
    path = folder / f"runs/optuna/finetune/random_relu_all_trial{trial}_seed1000/process.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found


def wait_until(moment: Callable[[], object], seconds: float = 900) -> None:
    end = time.monotonic() + seconds
    while not moment():
        assert time.monotonic() < end, "the moment did not come"
        time.sleep(0.1)


def test_a_search_whose_trials_are_tasks_of_arrays_goes_on_after_a_kill(cluster: Cluster, folder: Path) -> None:
    """In three batches of two. The search is killed while the second one's jobs are at work, which go on by themselves.

    Only the searching process writes into Optuna's file.
    """
    search = ["dbn-finetune", *SEARCH, "training.epochs=20", "search.pruner=null"]
    with subprocess.Popen([*search, "hydra.sweeper.n_trials=4"], cwd=folder, env=cluster.environment) as waiting:
        wait_until(lambda: process(folder, 2) or waiting.poll() is not None)
        assert waiting.poll() is None
        waiting.kill()
    first = [process(folder, trial) for trial in (0, 1)]
    arrays = [own["job"].partition("_") for own in first]
    assert arrays[0][0] == arrays[1][0], "tasks of one array"
    assert {task for _, _, task in arrays} == {"0", "1"}
    assert [trial.state.name for trial in trials(folder)] == ["COMPLETE", "COMPLETE", "RUNNING", "RUNNING"]
    (writer,) = {operation["worker_id"] for operation in operations(folder)}

    said = cluster.run(*search, "hydra.sweeper.n_trials=6", folder=folder, seconds=900)
    found, made = trials(folder), results(folder)
    assert [process(folder, trial) for trial in (0, 1)] == first, "they are not made again"
    assert len(list(folder.glob("runs/optuna/slurm/*/*_submitted.pkl"))) == 2 + 2 + 2 + 2, "only the second batch was"
    logs = "\n".join(path.read_text() for path in folder.glob("runs/optuna/slurm/*/*_log.out"))
    assert logs.count("another process is at work here; waiting for it") + logs.count("done already") >= 1
    too_high = [trial for trial in found if trial.params["training.learning_rate"] == TOO_HIGH]
    assert len(found) == 6
    assert len(too_high) == 1
    for trial in found:
        assert trial.state.name == "COMPLETE"
        if trial in too_high:
            assert trial.value == math.inf
            assert "diverged" in trial.user_attrs["failed"]
            assert trial.number not in made
        else:
            errors = [result["metrics"]["validation/error"] for result in made[trial.number]]
            assert len(errors) == 2
            assert trial.value == pytest.approx(sum(errors) / 2)
    writers = {operation["worker_id"] for operation in operations(folder)}
    assert len(writers) == 2, "the search, and the one that went on with it"
    assert writer in writers

    best = min((trial for trial in found if trial not in too_high), key=lambda trial: trial.value)
    rate = best.params["training.learning_rate"]
    for text in (said, cluster.run("dbn-report", "runs/optuna", folder=folder)):
        assert "5 and 1 failed" in text
        assert f"learning_rate {rate}" in text
        assert "failed: random_relu_all_trial3, seeds 1000, 1001: Fine-tuning diverged" in text
    assert "Search with 6 trials for every arm" in (folder / "runs/optuna/report.html").read_text()
    chosen = json.loads((folder / "runs/optuna/chosen.json").read_text())["digits"]["all"]["random_relu"]
    assert chosen["settings"] == {"training.learning_rate": rate}
    assert "10 of 12 runs done, 2 failed" in cluster.run("dbn-status", "runs/optuna", folder=folder)
