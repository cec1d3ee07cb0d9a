"""dbn-status at any moment of a study."""

import json

import pytest
from filelock import FileLock

from dbn.errors import DataError
from dbn.runs.code import RunningCode
from finetune.report.pages.study_status import status_text
from finetune.report.results import study_state


@pytest.fixture(autouse=True)
def _checkout(monkeypatch):
    """The checkout is at the commit of the runs' results."""
    at_results(monkeypatch)


def at_results(monkeypatch, commit="0123456789abcdef", dirty=False):
    """The checkout is at this commit."""
    code = RunningCode("", None, {"commit": commit, "dirty": dirty})
    monkeypatch.setattr(study_state, "current_code", lambda: code)


def plan(study, names, seeds):
    """A sweep.json of these runs."""
    jobs = [{"arm": n, "name": n, "seed": s, "overrides": [], "command": f"dbn-finetune arm={n} seed={s}"}
            for n in names for s in seeds]  # fmt: skip
    (study.directory / "sweep.json").write_text(json.dumps({"jobs": jobs}))


def test_before_the_first_result(study):
    plan(study, ["dbn"], [0, 1])
    assert status_text(study.directory).splitlines() == [
        "toy: 0 of 2 runs done, 2 missing",
        "missing     dbn, seed 0: never started",
        "missing     dbn, seed 1: never started",
        "",
        "To do the rest:",
        "  dbn-finetune arm=dbn seed=0",
        "  dbn-finetune arm=dbn seed=1",
    ]


def test_in_the_middle_of_it(study):
    plan(study, ["dbn", "glorot"], [0, 1, 2])
    study.run("digits_stack", 0, stage="pretrain", metrics={"layer1/reconstruction_error": 1.0})
    study.arm("dbn", [0.1, 0.2])
    failed = study.unfinished("glorot", 0, "Traceback\nDivergenceError: weights are no longer finite")
    at_work = study.unfinished("glorot", 1, "an error of the attempt before")
    study.unfinished("dbn", 2)
    with FileLock(at_work / ".lock"):
        text = status_text(study.directory)
    assert text.splitlines() == [
        "toy: 2 of 6 runs done, 1 running, 1 failed, 1 unfinished, 1 missing; 1 stack pretrained",
        "Left: about 40 s of fine-tuning in one process, by what the runs done took.",
        "running     glorot, seed 1: a process is at work on it",
        f"failed      glorot, seed 0: DivergenceError: weights are no longer finite; see {failed / 'error.txt'}",
        "unfinished  dbn, seed 2: stopped before its end; it resumes from its last checkpoint",
        "missing     glorot, seed 2: never started",
        "",
        "To do the rest:",
        "  dbn-finetune arm=glorot seed=0",
        "  dbn-finetune arm=dbn seed=2",
        "  dbn-finetune arm=glorot seed=2",
    ]
    assert "failed      glorot, seed 1: an error of the attempt before" in status_text(study.directory)


def test_time_left_is_by_arm_epochs_and_labels(study):
    """Dbn took 10 s for 4 epochs of 100 labels: 75 s for 30; an arm without a run is as slow as the usual one."""
    jobs = [
        {
            "arm": arm,
            "name": f"{arm}_{epochs}",
            "seed": 0,
            "overrides": [],
            "command": "",
            "epochs": epochs,
            "labels": "100",
        }
        for arm, epochs in (("dbn", 4), ("dbn", 30), ("fast", 4), ("fast", 40), ("other", 4))
    ]
    (study.directory / "sweep.json").write_text(json.dumps({"jobs": jobs}))
    study.run("dbn_4", 0, 0.1, arm="dbn", epochs=4, seconds=10.0)
    study.run("fast_4", 0, 0.1, arm="fast", epochs=4, seconds=2.0)
    expected = 75.0 + 20.0 + 6.0
    assert f"Left: about {expected:.0f} s of fine-tuning" in status_text(study.directory)


def test_when_all_is_done(study):
    plan(study, ["dbn"], [0, 1])
    study.arm("dbn", [0.1, 0.2])
    assert status_text(study.directory) == "toy: 2 of 2 runs done"


@pytest.mark.parametrize(("commit", "dirty"), [("fedcba9876543210", False), ("0123456789abcdef", True)])
def test_what_is_left_would_run_other_code(study, monkeypatch, commit, dirty):
    at_results(monkeypatch, commit, dirty)
    plan(study, ["dbn"], [0, 1])
    study.run("dbn", 0, 0.1)
    text = status_text(study.directory)
    uncommitted = " with uncommitted changes" if dirty else ""
    assert f"Code: 1 run by 0123456789ab; the checkout is at {commit[:12]}{uncommitted}." in text


def test_a_study_that_is_done_says_only_that_its_runs_differ(study, monkeypatch):
    at_results(monkeypatch, "fedcba9876543210")
    study.arm("dbn", [0.1, 0.2])
    assert "Code:" not in status_text(study.directory)
    study.run("dbn", 2, 0.1, git={"commit": "abcdef0123456789", "dirty": True})
    assert "Code: 2 runs by 0123456789ab and 1 run by abcdef012345 with uncommitted changes." in status_text(
        study.directory
    )


def test_what_is_done_of_a_running_run_is_not_left(study):
    """Glorot takes 10 s: of two runs that are missing, one is at 3 of its 4 epochs."""
    jobs = [{"arm": "glorot", "name": "glorot", "seed": seed, "overrides": [], "command": "", "epochs": 4,
             "labels": "100"} for seed in (0, 1, 2)]  # fmt: skip
    (study.directory / "sweep.json").write_text(json.dumps({"jobs": jobs}))
    study.run("glorot", 0, 0.1, epochs=4, seconds=10.0)
    at_work = study.unfinished("glorot", 1)
    (at_work / "metrics.csv").write_text(
        "epoch,train/loss,validation/error\n0,1.0,0.5\n1,0.9,0.25\n2,0.8,\n", encoding="utf-8"
    )
    with FileLock(at_work / ".lock"):
        text = status_text(study.directory)
    assert "Left: about 12 s of fine-tuning" in text
    assert "running     glorot, seed 1: epoch 3 of 4, validation error 25.00 %, about 2.5 s left" in text


def test_a_study_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="no such study"):
        status_text(tmp_path / "absent")


@pytest.mark.parametrize(("here", "said"), [("aaa", ""), ("bbb", "the checkout is at fedcba987654 (code bbb)")])
def test_code_is_told_apart_by_its_hash_where_there_is_one(study, monkeypatch, here, said):
    """Another commit with the same code is no difference; other files of the user's are one between runs."""
    code = RunningCode(here, None, {"commit": "fedcba9876543210", "dirty": False})
    monkeypatch.setattr(study_state, "current_code", lambda: code)
    plan(study, ["dbn"], [0, 1, 2, 3])
    study.run("dbn", 0, 0.1, code="aaa_11")
    study.run("dbn", 1, 0.1, code="aaa_11", git={"commit": "abcdef0123456789", "dirty": True})
    text = status_text(study.directory)
    assert said in text
    assert ("Code:" in text) is bool(said)
    study.run("dbn", 2, 0.1, code="aaa_22", code_before=["aaa_11"])
    assert (
        "Code: 2 runs by 0123456789ab (code aaa_11) and 1 run by 0123456789ab (code aaa_22); "
        "1 of them begun by other code; "
    ) in status_text(study.directory)


def test_jobs_that_run_what_was_submitted(study, monkeypatch):
    at_results(monkeypatch, "fedcba9876543210")
    plan(study, ["dbn"], [0])
    folder = study.directory / "slurm"
    folder.mkdir()
    record = {"submitted": 1.0, "jobs": {}, "git": {"commit": "0123456789abcdef", "dirty": False}, "frozen": True}
    (folder / "submitted_7.json").write_text(json.dumps(record))
    assert "submitted at 0123456789ab, which the jobs run; the checkout is at fedcba987654." in status_text(
        study.directory
    )
