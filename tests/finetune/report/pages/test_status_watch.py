"""dbn-status watch=true on a terminal and elsewhere, until the study is over."""

import io
import json

import pytest
from filelock import FileLock
from rich.console import Console

from dbn.fitting.preemption import PreemptedError
from finetune.report.pages import status_watch
from finetune.report.pages.status_table import status_table
from finetune.report.pages.status_watch import watch
from finetune.report.results.study_state import RunState, StudyState, read_study_state


def console(*, terminal, height=20):
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, height=height, color_system=None)


@pytest.mark.parametrize("terminal", [True, False])
def test_it_looks_until_nothing_is_at_work(study, terminal, monkeypatch):
    """A run that is at work at the first two looks is done at the third."""
    at_work = study.unfinished("dbn", 0)
    lock = FileLock(at_work / ".lock")
    lock.acquire()
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 2:
            result = {"name": "dbn", "seed": 0, "metrics": {"test/error": 0.1}}
            (at_work / "result.json").write_text(json.dumps(result))
            lock.release()
        assert len(slept) < 3

    monkeypatch.setattr(status_watch, "sleep", sleep)
    shown = console(terminal=terminal)
    watch(study.directory, 7.0, shown)
    text = shown.file.getvalue()
    assert slept == [7.0, 7.0]
    assert text.index("toy: 0 of 1 runs done, 1 running") < text.index("toy: 1 of 1 runs done")
    assert terminal or text.count("0 of 1 runs done") == 1, "what has not changed is not said again"


def test_ctrl_c_ends_the_view_without_an_error(study, monkeypatch):
    def sleep(_):
        raise PreemptedError

    monkeypatch.setattr(status_watch, "sleep", sleep)
    shown = console(terminal=True)
    with FileLock(study.unfinished("dbn", 0) / ".lock"):
        watch(study.directory, 1.0, shown)
    assert shown.file.getvalue().endswith("\x1b[?25h"), "the cursor is back"


def test_the_table_fits_the_terminal_and_hides_no_state(tmp_path):
    runs = [
        RunState("finetune", "dbn", seed, state, f"dbn, seed {seed}", message="words " * 50, reason="Resources")
        for state, seeds in (("running", 40), ("failed", 2), ("pending", 300), ("missing", 50))
        for seed in range(seeds)
    ]
    shown = console(terminal=True, height=24)
    shown.print(status_table(StudyState("toy", tmp_path, tuple(runs)), 24, "12:00:00"))
    lines = shown.file.getvalue().splitlines()
    assert len(lines) <= 24
    assert sum(line.startswith("failed") for line in lines) == 2
    for state in ("running", "pending", "missing"):
        assert sum(line.startswith(state) for line in lines) >= 4
    shown_runs = sum(line.split()[0] in ("running", "failed", "pending", "missing") for line in lines if line.strip())
    assert f"and {392 - shown_runs} more" in lines[-2]


def test_a_row_says_epoch_metric_time_left_and_job(study):
    plan = [{"arm": "dbn", "name": "dbn", "seed": seed, "overrides": [], "command": "", "epochs": 100, "labels": "100"}
            for seed in (0, 1)]  # fmt: skip
    (study.directory / "sweep.json").write_text(json.dumps({"jobs": plan}))
    study.run("dbn", 0, 0.1, epochs=100, seconds=50.0)
    at_work = study.unfinished("dbn", 1)
    (at_work / "metrics.csv").write_text("epoch,validation/error\n11,0.0321\n")
    (at_work / "process.json").write_text(
        json.dumps({"host": "n17", "pid": 1, "job": None, "log": None, "started": 0.0, "epochs": 0, "git": None})
    )
    with FileLock(at_work / ".lock"):
        state = read_study_state(study.directory)
    shown = console(terminal=True)
    shown.print(status_table(state, 20))
    (row,) = [line for line in shown.file.getvalue().splitlines() if line.startswith("running")]
    assert row.split() == [
        "running",
        "dbn,",
        "seed",
        "1",
        "12/100",
        "validation",
        "error",
        "3.21",
        "%",
        "44",
        "s",
        "n17",
    ]
