"""What is known of every run of a study: from its folder, from a stand-in for SLURM's queue, without writing."""

import json
import os
import time

import pytest
from filelock import FileLock

from dbn.runs import process_record
from dbn.runs.slurm_queue import Queue, QueuedJob
from finetune.report.results import study_state
from finetune.report.results.study_state import read_study_state, watched

NOW = 1_800_000_000.0


@pytest.fixture
def queue(monkeypatch):
    """Jobs in the queue, by id; and which ones were asked for."""
    jobs, asked = {}, []

    def queue_of(ids):
        asked.append(set(ids))
        return Queue({number: job for number, job in jobs.items() if number in ids})

    monkeypatch.setattr(study_state, "queue_of", queue_of)
    return jobs, asked


def plan(study, names, seeds, **more):
    jobs = [{"arm": n, "name": n, "seed": s, "overrides": [], "command": f"dbn-finetune arm={n} seed={s}", **more}
            for n in names for s in seeds]  # fmt: skip
    (study.directory / "sweep.json").write_text(json.dumps({"jobs": jobs}))


def submitted(study, job, jobs, at=NOW, git=None):
    folder = study.directory / "slurm"
    folder.mkdir(exist_ok=True)
    (folder / f"submitted_{job}.json").write_text(json.dumps({"submitted": at, "jobs": jobs, "git": git}))


def recorded(directory, monkeypatch, job=None, log=None, host="n1", epochs=0):
    """The record that a process of a job leaves."""
    content = {"host": host, "pid": 1, "job": job, "log": log, "started": time.time(), "epochs": epochs, "git": None}
    (directory / process_record.PROCESS).write_text(json.dumps(content))


def states(study):
    return {run.directory.name: run for run in read_study_state(study.directory).runs}


def test_a_run_that_waits_says_why(study, queue):
    jobs, asked = queue
    plan(study, ["dbn"], [0, 1, 2, 3])
    study.run("dbn", 0, 0.1)
    submitted(study, "7", {"7_0": ["dbn_seed0", "dbn_seed1"], "7_1": ["dbn_seed2"], "7_2": ["dbn_seed3"]})
    jobs |= {"7_0": QueuedJob("RUNNING", "", "n1"), "7_1": QueuedJob("PENDING", "Resources")}
    found = states(study)
    assert asked == [{"7_0", "7_1", "7_2"}]
    assert {name: (run.state, run.reason, run.job) for name, run in found.items()} == {
        "dbn_seed0": ("done", "", None),
        "dbn_seed1": ("pending", "JobAtWork", "7_0"),  # its job has other runs before it
        "dbn_seed2": ("pending", "Resources", "7_1"),
        "dbn_seed3": ("missing", "", None),  # its job is over
    }
    assert [run.command for run in found.values() if run.command] == ["dbn-finetune arm=dbn seed=3"]


def test_a_study_is_not_over_while_its_report_waits(study, queue):
    jobs, _ = queue
    study.run("dbn", 0, 0.1)
    submitted(study, "7", {"7_0": ["dbn_seed0"]})
    path = study.directory / "slurm/submitted_7.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "report": "8"}))
    assert read_study_state(study.directory).is_over
    jobs["8"] = QueuedJob("PENDING", "Dependency")
    assert not read_study_state(study.directory).is_over


def test_the_latest_submission_counts(study, queue):
    jobs, _ = queue
    plan(study, ["dbn"], [0])
    submitted(study, "10", {"10_0": ["dbn_seed0"]}, NOW + 1)
    submitted(study, "9", {"9_0": ["dbn_seed0"]}, NOW)
    jobs["10_0"] = QueuedJob("PENDING", "Priority")
    assert states(study)["dbn_seed0"].reason == "Priority"


def test_a_run_at_work_on_another_node_whose_locks_are_not_seen(study, queue, monkeypatch):
    jobs, _ = queue
    plan(study, ["dbn"], [0, 1], epochs=100, labels="100")
    one, other = study.unfinished("dbn", 0), study.unfinished("dbn", 1)
    recorded(one, monkeypatch, "7_0")
    recorded(other, monkeypatch, "7_1")
    jobs["7_0"] = QueuedJob("RUNNING", "", "n1")
    found = states(study)
    assert (found["dbn_seed0"].state, found["dbn_seed0"].host) == ("running", "n1")
    assert found["dbn_seed1"].state == "unfinished"
    jobs["7_1"] = QueuedJob("PENDING", "BeginTime")
    assert states(study)["dbn_seed1"].state == "pending", "it was put back into the queue"


def test_its_own_pace_where_no_run_is_done(study, queue, monkeypatch):
    """20 epochs before this attempt, 30 more in 60 s: 50 more will take 100 s."""
    plan(study, ["dbn"], [0], epochs=100, labels="100")
    at_work = study.unfinished("dbn", 0)
    recorded(at_work, monkeypatch, epochs=20)
    metrics = at_work / "metrics.csv"
    metrics.write_text("epoch,train/loss\n" + "".join(f"{epoch},0.5\n" for epoch in range(50)))
    started = json.loads((at_work / "process.json").read_text())["started"]
    os.utime(metrics, (started + 60, started + 60))
    with FileLock(at_work / ".lock"):
        run = states(study)["dbn_seed0"]
    assert (run.epoch, run.epochs, run.metric, run.value) == (50, 100, "train/loss", 0.5)
    assert run.seconds_left == pytest.approx(100.0)


def test_a_failed_run_names_its_log_and_one_killed_its_last_line(study, queue, monkeypatch, tmp_path):
    failed, killed = study.unfinished("dbn", 0, "Traceback\nMemoryError: no memory"), study.unfinished("dbn", 1)
    silent = study.unfinished("dbn", 2, "an older error")
    log = tmp_path / "slurm.out"
    log.write_text("epoch 1\nslurmstepd: error: Detected 1 oom_kill event in StepId=7.0\n\n")
    os.utime(silent / "error.txt", (NOW - 1e9, NOW - 1e9))
    for directory in (killed, silent):
        recorded(directory, monkeypatch, "7", str(log))
    found = states(study)
    assert (found["dbn_seed0"].message, found["dbn_seed0"].log) == ("MemoryError: no memory", failed / "error.txt")
    for name in ("dbn_seed1", "dbn_seed2"):  # an error from before its last process began is none of this attempt
        assert found[name].state == "unfinished"
        assert found[name].message.endswith("its log ends: slurmstepd: error: Detected 1 oom_kill event in StepId=7.0")
        assert found[name].log == log


def test_a_stack_at_work_is_measured_by_another_seed(study, queue):
    study.run("stack", 0, stage="pretrain", metrics={}, layers=[{"epochs": 15}, {"epochs": 15}])
    at_work = study.unfinished("stack", 1, stage="pretrain")
    (at_work / "metrics.csv").write_text(
        "epoch,layer1/reconstruction_error,layer2/reconstruction_error\n14,3.5,\n15,,2.5\n"
    )
    with FileLock(at_work / ".lock"):
        run = states(study)["stack_seed1"]
    assert (run.epoch, run.epochs, run.value) == (16, 30, 2.5)


def test_test_images_choose_nothing():
    assert watched({"test/error": 0.1, "validation/nll": 0.2, "validation/error": 0.3}) == ("validation/error", 0.3)
    assert watched({"test/error": 0.1}) == ("", None)


def test_looking_leaves_no_trace(study, queue):
    plan(study, ["dbn"], [0, 1, 2])
    study.run("dbn", 0, 0.1)
    study.unfinished("dbn", 1, "an error")
    (study.unfinished("dbn", 2) / ".lock").touch()
    submitted(study, "7", {"7_0": ["dbn_seed0"]})

    def trace():
        files = [study.directory, *sorted(study.directory.rglob("*"))]
        return {path: (path.stat().st_mtime_ns, path.stat().st_ino, path.stat().st_size) for path in files}

    before = trace()
    read_study_state(study.directory)
    assert trace() == before


def test_results_are_read_again_only_if_they_changed(study, queue, monkeypatch):
    study.arm("dbn", [0.1, 0.2])
    known = {}
    first = read_study_state(study.directory, known)
    (study.directory / "finetune/dbn_seed0/result.json").write_text(
        json.dumps({"name": "dbn", "seed": 0, "metrics": {"validation/error": 0.7}})
    )
    os.utime(study.directory / "finetune/dbn_seed0/result.json", (NOW, NOW))
    kept = known[study.directory / "finetune/dbn_seed1"][1]
    second = read_study_state(study.directory, known)
    assert [run.value for run in first.runs] == [None, None]
    assert [run.value for run in second.runs] == [0.7, None]
    assert known[study.directory / "finetune/dbn_seed1"][1] is kept


def test_a_job_that_goes_on_behind_another_has_its_runs(study, queue):
    plan(study, ["dbn"], [0])
    submitted(study, "7", {"7_0": ["dbn_seed0"]})
    for job, again in (("7_0", "9_0"), ("9_0", "12_0"), ("12_0", "7_0")):  # the last one is damaged
        (study.directory / f"slurm/behind_{job}").write_text(f"{again}\n")
    queue[0]["12_0"] = QueuedJob("PENDING", "Dependency")
    (run,) = read_study_state(study.directory).runs
    assert (run.state, run.job, run.reason) == ("pending", "12_0", "Dependency")
