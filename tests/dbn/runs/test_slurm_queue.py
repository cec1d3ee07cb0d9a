"""SLURM's queue, as a stand-in for ``squeue`` tells it; tests/cluster asks a real one."""

import os
from pathlib import Path

import pytest

from dbn.runs.slurm_queue import queue_of


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The script that stands in for it; what it was called with is in ``asked`` beside it."""
    script = tmp_path / "bin" / "squeue"
    script.parent.mkdir()
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    return script


def answer(script: Path, output: str, error: str = "", status: int = 0) -> None:
    words = f"echo \"$*\" >> {script.parent}/asked\nprintf '%s' '{output}'\nprintf '%s' '{error}' >&2\nexit {status}\n"
    script.write_text(f"#!/bin/sh\n{words}")
    script.chmod(0o755)


def test_states_and_reasons(squeue: Path) -> None:
    answer(
        squeue, "7_0|RUNNING|n1|None\n7_1|PENDING||(JobArrayTaskLimit)\n7_2|PENDING||Resources\n9|COMPLETING|n2|None\n"
    )
    queue = queue_of(["7_0", "7_1", "7_2", "7_3", "9"])
    assert "--jobs=7,9 " in (squeue.parent / "asked").read_text(), "one word for an array of thousands"
    assert queue.unknown is None
    assert {number: job.waits for number, job in queue.jobs.items()} == {
        "7_0": False, "7_1": True, "7_2": True, "9": False,
    }  # fmt: skip
    assert (queue.jobs["7_0"].nodes, queue.jobs["7_0"].reason) == ("n1", "")
    assert queue.reasons() == {"JobArrayTaskLimit": 1, "Resources": 1}


def test_jobs_that_slurm_has_forgotten_are_over(squeue: Path) -> None:
    answer(squeue, "", "slurm_load_jobs error: Invalid job id specified", 1)
    assert queue_of(["7_0"]) == queue_of([])


def test_a_controller_that_does_not_answer_is_said(squeue: Path) -> None:
    answer(squeue, "", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)", 1)
    queue = queue_of(["7_0"])
    assert not queue.jobs
    assert "Unable to contact slurm controller" in str(queue.unknown)


def test_without_jobs_slurm_is_not_asked(squeue: Path) -> None:
    answer(squeue, "")
    queue_of([])
    assert not (squeue.parent / "asked").exists()


def test_without_slurm_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "login node" in str(queue_of(["7"]).unknown)
