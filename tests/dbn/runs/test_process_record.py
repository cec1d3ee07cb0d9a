"""What a run's directory says of the process at work, seen from another one and from within."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dbn.runs import run
from dbn.runs.code import RunningCode
from dbn.runs.process_record import PROCESS, read_process
from dbn.runs.run import execute

CONFIG = {"seed": 0, "paths": {"runs": "a"}, "data": {"name": "x", "root": "here"}}


def test_a_run_says_who_is_at_work_on_it_while_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    monkeypatch.setenv("SLURMD_NODENAME", "n17")
    (tmp_path / "metrics.csv").write_text("epoch,train/loss\n0,1.0\n1,0.5\n")
    seen = []

    def look(directory: Path) -> dict[str, Any]:
        seen.append(read_process(directory))
        return {"metrics": {}}

    result = execute(tmp_path, CONFIG, look)
    (record,) = seen
    assert (record.host, record.pid, record.job, record.epochs) == ("n17", os.getpid(), "7_3", 2)
    assert record.git == result["git"], "the code of the result is that of the start"
    assert (
        (tmp_path / "result.json").stat().st_mtime - 600 < record.started <= (tmp_path / "result.json").stat().st_mtime
    )


def test_the_code_of_a_result_is_that_of_its_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkout moves on while the run is at work."""
    state = {"commit": "a" * 40, "dirty": False}
    monkeypatch.setattr(run, "running_code", lambda: RunningCode("0", None, dict(state)))

    def work(_: Path) -> dict[str, Any]:
        state["commit"] = "b" * 40
        return {"metrics": {}}

    assert execute(tmp_path, CONFIG, work)["git"] == {"commit": "a" * 40, "dirty": False}


def test_the_log_is_where_errors_go(tmp_path: Path) -> None:
    code = "from dbn.runs.process_record import own_log; print(own_log())"

    def said(**options: Any) -> str:
        environment = {key: value for key, value in os.environ.items() if key != "DBN_LOG"} | options.pop("env", {})
        command = [sys.executable, "-c", code]
        return subprocess.run(
            command, env=environment, check=True, text=True, stdout=subprocess.PIPE, **options
        ).stdout.strip()

    with (tmp_path / "job.out").open("w") as file:
        assert said(stderr=file) == str(tmp_path / "job.out")
        assert said(stderr=file, env={"DBN_LOG": "batch.out"}) == str(tmp_path / "job.out")
    assert said(stderr=subprocess.PIPE) == "None"
    assert said(stderr=subprocess.PIPE, env={"DBN_LOG": "batch.out"}) == "batch.out"


@pytest.mark.parametrize("content", ["", "[]", "{}", json.dumps({"host": "a", "pid": "x"})])
def test_a_damaged_record_is_none(content: str, tmp_path: Path) -> None:
    (tmp_path / PROCESS).write_text(content)
    assert read_process(tmp_path) is None
    assert read_process(tmp_path / "absent") is None
