"""slurm/sync.sh against a stand-in of the service: many offline runs, several at once, killed and called again."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import wandb

from dbn.runs.tracking import tracking
from dbn.runs.wandb_parts import is_sent, parts_of
from wandb_service import TOO_MANY, Service, closed_parts, processes_of, served

SCRIPT = Path(__file__).parents[3] / "slurm" / "sync.sh"
OFFLINE = {"project": "dbn", "entity": None, "tags": [], "mode": "offline"}


def record(directory: Path, first: int, last: int) -> None:
    """An offline run of some epochs, or a part of one."""
    described = {"study": "study", "stage": "finetune", "name": directory.name, "tags": [], "config": {}}
    with tracking(directory.resolve(), OFFLINE, **described) as tracker:  # type: ignore[arg-type]
        logger = tracker.loggers()[1]
        for epoch in range(first, last):
            logger.log_metrics({"validation/error": 1 / (epoch + 3), "epoch": epoch})
        logger.finalize("success")


def call(*arguments: str) -> subprocess.Popen[str]:
    """The script, in a group of processes of its own."""
    command = ["bash", str(SCRIPT), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def epochs_of(service: Service, directory: Path) -> list[int]:
    """Epochs of the points that the service has of a run."""
    return [point["epoch"] for point in service.runs[(directory / "wandb_id").read_text()].history]


def test_many_runs_are_sent_several_at_once_and_a_call_that_was_killed_is_made_again(service: Service) -> None:
    """Starting the client takes most of the time: for each part, and for each call of the script."""
    runs = [Path(f"runs/study/finetune/run_seed{seed}") for seed in range(6)]
    for run in runs:
        record(run, 0, 3)
    record(runs[0], 3, 5)  # it went on after an interruption
    parts = [part for run in runs for part in closed_parts(run, 2 if run == runs[0] else 1)]
    wandb.teardown()  # this process has done with it

    def after_three(number: int, kind: str) -> int | None:
        done = sum(run.exit_code is not None for run in service.runs.values())
        return TOO_MANY if done >= 3 and kind == "UpsertBucket" else None

    service.disturb = after_three
    with served(service):
        first = call("runs", "2")
        wait_for(lambda: sum(is_sent(part) for part in parts) >= 3)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        wait_for(lambda: not processes_of(service))
        sent = [part for part in parts if is_sent(part)]
        assert 3 <= len(sent) < len(parts)
        whole = [run for run in runs if all(part in sent for part in parts_of(run))]
        kept = {name: service.runs.pop(name) for name in [(run / "wandb_id").read_text() for run in whole]}
        service.disturb = lambda number, kind: None
        output, errors = (second := call("runs", "3")).communicate(timeout=200)
        assert second.returncode == 0, errors
        assert f"7 records below runs: {7 - len(sent)} to upload" in output
        assert not set(service.runs) & set(kept), "what was sent is not sent again"
        assert 2 <= service.most_open <= 3
        service.runs |= kept
        assert all(is_sent(part) for part in parts)
        assert epochs_of(service, runs[0]) == [0, 1, 2, 3, 4]
        assert all(epochs_of(service, run) == [0, 1, 2] for run in runs[1:])
        record(runs[1], 3, 4)  # and another one goes on
        closed_parts(runs[1], 2)
        third = call("runs")
        output, _ = third.communicate(timeout=100)
        assert "8 records below runs: 1 to upload" in output
        assert epochs_of(service, runs[1]) == [0, 1, 2, 3]


def test_a_service_that_refuses_is_said_and_nothing_is_marked(service: Service) -> None:
    run = Path("runs/study/finetune/run_seed0")
    record(run, 0, 2)
    service.disturb = lambda number, kind: 403 if kind == "UpsertBucket" else None
    with served(service):
        done = call("runs")
        _, errors = done.communicate(timeout=100)
    assert done.returncode == 1
    assert "1 of 1 records were not uploaded" in errors
    assert not is_sent(*closed_parts(run))


def test_a_record_of_a_process_that_was_killed_is_sent_as_far_as_it_is(service: Service) -> None:
    run = Path("runs/study/finetune/run_seed0")
    record(run, 0, 3)
    (part,) = closed_parts(run)
    part.write_bytes(part.read_bytes()[:-60])
    with served(service):
        done = call("runs")
        _, errors = done.communicate(timeout=100)
        assert done.returncode == 0, errors
        assert epochs_of(service, run) == [0, 1, 2]
        assert "1 records below runs: 0 to upload" in call("runs").communicate(timeout=100)[0]


def test_a_folder_without_records(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    done = call("runs")
    _, errors = done.communicate(timeout=100)
    assert done.returncode == 1
    assert "nothing to upload below runs" in errors


@pytest.mark.parametrize("locked", [True, False])
def test_an_online_run_that_is_at_work_is_left_alone(tmp_path: Path, locked: bool) -> None:
    """It uploads itself; one whose process has died does not. Here, ``wandb`` is a script that says what it got."""
    part = tmp_path / "runs/a/finetune/b_seed0/wandb/run-20260101_000000-x/run-x.wandb"
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(100))
    lock = part.parents[2] / ".lock"
    lock.touch()
    fake = tmp_path / "bin/wandb"
    fake.parent.mkdir()
    fake.write_text('#!/bin/bash\necho "called $*"\ntouch "${@: -1}.synced"\n')
    fake.chmod(0o755)
    environment = {**os.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}"}
    command = ["bash", str(SCRIPT), "runs"]
    holding = ["flock", "--exclusive", str(lock)] if locked else []
    done = subprocess.run([*holding, *command], env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert ("called beta sync" in done.stdout) != locked
    assert f"{int(not locked)} to upload, {int(locked)} uploading themselves" in done.stdout
