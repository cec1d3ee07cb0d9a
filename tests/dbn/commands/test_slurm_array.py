"""An element of an array that ends without a word does not end the sweep."""

import subprocess
from typing import Any

import pytest
from submitit.core.utils import UncompletedJobError

from dbn.commands.slurm_array import wait_for_array


def test_the_others_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["7_1\n7_2\n", "7_2\n", ""]
    asked: list[list[str]] = []

    def squeue(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, answers.pop(0), "")

    monkeypatch.setattr(subprocess, "run", squeue)
    monkeypatch.setattr("dbn.commands.slurm_array.POLL_SECONDS", 0.0)
    wait_for_array(UncompletedJobError("Job 7_0 (task: 0) with path /x has not produced any output"))
    assert answers == []
    assert {command[2] for command in asked} == {"--jobs=7"}


def test_a_job_that_is_no_array_has_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: asked.append(command))
    wait_for_array(UncompletedJobError("Job 12 (task: 0) with path /x has not produced any output"))
    assert not asked
