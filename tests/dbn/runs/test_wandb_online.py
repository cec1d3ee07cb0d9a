"""Online runs against a stand-in of the service that refuses, drops connections, goes down: no point is lost."""

import json
import logging
import os
import random
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dbn.errors import TrackingError
from dbn.fitting.metrics_file import MetricsFile
from dbn.runs import wandb_run
from dbn.runs.tracking import Tracker, Tracking, tracking
from dbn.runs.wandb_parts import is_sent, parts_of
from wandb_service import DROPPED, TOO_MANY, UNANSWERED, Service, closed_parts, processes_of, served

SETTINGS = {"project": "dbn", "entity": None, "tags": [], "mode": None}
SMALL = ["stack.layers=[8]", "stack.every_layer.epochs=2", "training.epochs=3", "progress=false", "logger=wandb"]


def run_command(folder: Path, *overrides: str) -> None:
    """dbn-finetune in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "finetune.train", *SMALL, *overrides]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr


def sync(service: Service, folder: Path) -> None:
    """What a person calls later: ``wandb sync`` of every part below a folder."""
    parts = [str(part) for part in sorted(folder.rglob("run-*.wandb")) if not part.parent.is_symlink()]
    command = [sys.executable, "-m", "wandb", "beta", "sync", "--no-skip-online", *parts]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr


def points_sent(service: Service, directory: Path) -> list[dict[str, float]]:
    """The numbers of a run's points at the service; pictures are points of their own."""
    run = service.runs[(directory / "wandb_id").read_text()]
    points = [{k: v for k, v in row.items() if not (k.startswith("_") or isinstance(v, dict))} for row in run.history]
    return [point for point in points if set(point) - {"epoch"}]


def points_written(directory: Path) -> list[dict[str, float]]:
    """The rows of ``metrics.csv``."""
    rows = MetricsFile(directory / "metrics.csv").rows
    return [{name: float(value) for name, value in rows[epoch].items()} for epoch in sorted(rows)]


def log_epochs(tracker: Tracker, first: int, last: int) -> None:
    """Log epochs as a fit does."""
    loggers = tracker.loggers()
    for epoch in range(first, last):
        for metrics in ({"validation/error": 1 / (epoch + 3)}, {"train/loss": 0.1 * epoch}):
            for logger in loggers:
                logger.log_metrics({**metrics, "epoch": epoch})
        for logger in loggers:
            logger.save()
    for logger in loggers:
        logger.finalize("success")


def track(first: int = 0, last: int = 4, **more: Any) -> Path:
    """A run of some epochs in this process; returns its directory."""
    directory = Path("runs/study/finetune/name").resolve()
    described: dict[str, Any] = {"study": "study", "stage": "finetune", "name": "name", "tags": [], "config": {}}
    with tracking(directory, SETTINGS | more, **described) as tracker:
        log_epochs(tracker, first, last)
        tracker.log_summary({"test/error": 0.25})
    return directory


def wait_for(condition: Any) -> None:
    """Wait until it holds."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_service_that_answers_429_and_drops_connections_gets_every_point_once(
    service: Service, tmp_path: Path
) -> None:
    """Of a command with two runs, one after the other: its stack's and its network's. Most of the time is importing."""
    rng = random.Random(0)
    disturbances = [TOO_MANY] * 3 + [DROPPED, UNANSWERED, 500] + [None] * 9
    service.disturb = lambda number, kind: TOO_MANY if number < 2 else rng.choice(disturbances)
    with served(service):
        run_command(tmp_path, "arm=dbn", "study=up")
        assert not processes_of(service)
    outcomes = service.statuses()
    assert outcomes[TOO_MANY] > 4
    assert outcomes[DROPPED] + outcomes[UNANSWERED] > 1
    network = tmp_path / "runs/up/finetune/dbn_seed0"
    (stack,) = (tmp_path / "runs/up/pretrain").iterdir()
    for directory, n_epochs in ((stack, 2), (network, 3)):
        written = points_written(directory)
        assert len(written) == n_epochs
        assert points_sent(service, directory) == written, "one point an epoch, with the numbers of its row"
        run = service.runs[(directory / "wandb_id").read_text()]
        assert run.exit_code == 0
        assert run.settings["groupName"] == "up"
        assert run.settings["jobType"] == directory.parent.name
        report = (tmp_path / "runs/up/wandb_id").read_text()
        assert run.settings["notes"] == f"Report of the study up: {service.url}/someone/dbn/runs/{report}"
        assert {name.split("/")[2].split("_")[0] for name in run.uploaded if name.startswith("media")} >= {"filters"}
        assert all(is_sent(part) for part in parts_of(directory))
    summary = service.runs[(network / "wandb_id").read_text()].summary
    metrics = json.loads((network / "result.json").read_text())["metrics"]
    assert metrics.items() <= summary.items()
    assert service.most_open == 1


def test_a_service_that_is_down_from_the_start(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "1")
    with caplog.at_level(logging.WARNING):
        directory = track()
    (message,) = (record.message for record in caplog.records if record.name.startswith("dbn."))
    assert "does not answer" in message
    assert "connection refused" in message
    assert "slurm/sync.sh runs/study/finetune/name" in message
    assert len(points_written(directory)) == 4
    (part,) = closed_parts(directory)
    assert part.parent.name.startswith("offline-run-")
    begin = time.monotonic()
    track(4, 6)
    assert time.monotonic() - begin < 1, "a run right behind it does not wait again"
    with served(service):
        sync(service, directory)
    assert points_sent(service, directory) == points_written(directory)
    (run,) = service.runs.values()
    assert (run.exit_code, run.summary["test/error"]) == (0, 0.25)
    assert all(is_sent(part) for part in parts_of(directory))


def test_a_service_that_goes_down_during_a_run_and_one_that_is_up_again(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "1")
    directory = Path("runs/study/finetune/name").resolve()
    with served(service):
        opened = tracking(directory, SETTINGS, study="study", stage="finetune", name="name", tags=[], config={})
        tracker = opened.__enter__()
        log_epochs(tracker, 0, 3)
        wait_for(lambda: service.runs and len(service.runs[(directory / "wandb_id").read_text()].history) == 3)
    log_epochs(tracker, 3, 6)
    with caplog.at_level(logging.WARNING):
        opened.__exit__(None, None, None)
    assert "did not take all points in time" in caplog.text
    assert len(points_written(directory)) == 6
    assert len(points_sent(service, directory)) == 3
    (part,) = closed_parts(directory)
    assert not is_sent(part)
    monkeypatch.setattr(wandb_run, "_asked_again_at", 0.0)
    with served(service):  # the run goes on: what it owes is sent first
        track(6, 8)
    (run,) = service.runs.values()
    assert [point["epoch"] for point in run.history] == list(range(8))
    assert [point["_step"] for point in run.history] == list(range(8))
    assert all(is_sent(part) for part in closed_parts(directory, 2))


def test_points_that_the_service_refuses_for_good_are_still_to_be_sent(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.disturb = lambda number, kind: 404 if kind == "file_stream" else None
    with served(service), caplog.at_level(logging.WARNING):
        directory = track()
        assert "refused points" in caplog.text
        (part,) = closed_parts(directory)
        assert not is_sent(part)
        service.disturb = lambda number, kind: None
        sync(service, directory)
    assert points_sent(service, directory) == points_written(directory)


def test_what_the_service_refuses_at_the_start_is_an_error(service: Service) -> None:
    service.disturb = lambda number, kind: 403 if kind == "UpsertBucket" else None
    with served(service), pytest.raises(TrackingError, match=r"refuses it: .*403.*WANDB_MODE=offline"):
        track()


def test_parts_of_a_process_that_was_killed_do_not_hold_up_the_run(service: Service) -> None:
    """The client writes 32 kB at once: of such a part there may be nothing, or it ends within a record."""
    with served(service):
        directory = track(last=3, mode="offline")
        (part,) = closed_parts(directory)
        part.write_bytes(part.read_bytes()[:-60])
        empty = part.parents[1] / "run-20200101_000000-x" / "run-x.wandb"
        empty.parent.mkdir()
        empty.write_bytes(part.read_bytes()[:7])
        track(3, 6)
    (run,) = service.runs.values()
    assert [point["epoch"] for point in run.history] == list(range(6))
    assert run.exit_code == 0


def test_runs_that_train_together_while_the_service_is_down(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "1")
    monkeypatch.setenv("WANDB_HTTP_TIMEOUT", "1")
    directories = [Path(f"runs/study/finetune/name_seed{seed}").resolve() for seed in (0, 1)]
    described: dict[str, Any] = {"study": "study", "stage": "finetune", "tags": [], "config": {}}
    openers = [partial(tracking, own, SETTINGS, name=own.name, **described) for own in directories]
    with Tracking(openers, directories, SETTINGS) as together:
        assert "does not answer. It is asked again when training is over" in caplog.text
        for tracker in together.trackers:
            log_epochs(tracker, 0, 3)
        for number in (0, 1):
            with together.after(number):
                pass
    with served(service):
        sync(service, Path("runs"))
    for directory in directories:
        assert points_sent(service, directory) == points_written(directory)
        assert len(points_written(directory)) == 3


def test_runs_that_train_together_need_a_key_that_the_service_knows(service: Service) -> None:
    service.disturb = lambda number, kind: 401
    with served(service), pytest.raises(TrackingError, match=r"does not take the key: .*401"):
        Tracking([lambda: None] * 2, [Path()] * 2, SETTINGS).__enter__()  # type: ignore[list-item]
