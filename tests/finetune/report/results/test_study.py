"""Reading a study: results, and runs without one."""

import json

import pytest

from dbn.errors import DataError
from finetune.report.results.problems import Problem, group_by_seed
from finetune.report.results.study import read_study


def problems(study):
    return {problem.label: problem for problem in read_study(study.directory).problems}


def test_a_missing_directory_says_what_to_run(tmp_path):
    with pytest.raises(DataError, match=r"no such study.*dbn-finetune study=absent"):
        read_study(tmp_path / "absent")


def test_an_empty_directory_says_what_to_run(study):
    with pytest.raises(DataError, match=r"no run has a result yet\. .*dbn-finetune study=toy"):
        read_study(study.directory)


def test_a_study_of_failures_says_why_and_what_to_run(study):
    directory = study.unfinished("dbn", 0, "Traceback\nDivergenceError: loss is not finite")
    (directory / ".hydra").mkdir()
    (directory / ".hydra" / "overrides.yaml").write_text("- study=toy\n- arm=dbn\n- seed=0\n")
    study.unfinished("glorot", 0)
    with pytest.raises(
        DataError, match=r"1 failed, 1 unfinished.*loss is not finite.*dbn-finetune study=toy arm=dbn seed=0"
    ):
        read_study(study.directory)


def test_the_plan_names_what_is_missing_with_its_command(study):
    study.arm("dbn", [0.1, 0.1])
    study.unfinished("glorot", 0, "Traceback ...\n  line\nDataError: the disk is full\n\n")
    study.unfinished("glorot", 1)
    jobs = [
        {"arm": arm, "seed": seed, "name": arm, "overrides": [], "command": f"dbn-finetune arm={arm} seed={seed}"}
        for arm in ("dbn", "glorot")
        for seed in range(3)
    ]
    (study.directory / "sweep.json").write_text(json.dumps({"jobs": jobs}))
    found = problems(study)
    assert {label: problem.state for label, problem in found.items()} == {
        "glorot, seed 0": "failed",
        "glorot, seed 1": "unfinished",
        "dbn, seed 2": "missing",
        "glorot, seed 2": "missing",
    }
    assert found["glorot, seed 0"].message == "DataError: the disk is full"
    assert found["glorot, seed 0"].command == "dbn-finetune arm=glorot seed=0"
    assert found["dbn, seed 2"].command == "dbn-finetune arm=dbn seed=2"


def test_without_a_plan_holes_in_the_grid_are_missing(study):
    study.arm("dbn", [0.1, 0.1, 0.1])
    directory = study.run("glorot", 0, 0.2)
    (directory / ".hydra").mkdir()
    (directory / ".hydra" / "overrides.yaml").write_text("- arm=glorot\n- seed=0\n- study=toy\n")
    study.run("he", 1, 0.2)
    study.run("knn", 0, 0.3, stage="baseline")  # its own grid: a baseline that needs one seed lacks nothing
    found = problems(study)
    assert sorted(found) == ["glorot, seed 1", "glorot, seed 2", "he, seed 0", "he, seed 2"]
    assert found["glorot, seed 2"].command == "dbn-finetune arm=glorot study=toy seed=2"
    assert found["he, seed 0"].command is None


def test_a_result_outweighs_an_old_error(study):
    directory = study.run("dbn", 0, 0.1)
    (directory / "error.txt").write_text("an earlier attempt failed")
    assert problems(study) == {}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{ half", "result.json cannot be used"),
        ("[1]", "not a JSON object"),
        ('{"seed": 0, "metrics": {}}', "'name'"),
        ('{"name": "dbn", "seed": "x", "metrics": {}}', "'seed'"),
        ('{"name": "dbn", "seed": 0}', "'metrics'"),
        (b"\xff\xfe\x00", "result.json cannot be used"),
    ],
)
def test_a_damaged_result_is_listed_and_the_rest_is_read(study, content, reason):
    study.run("glorot", 0, 0.2)
    directory = study.unfinished("dbn", 0)
    (directory / "result.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read_study(study.directory)
    assert [run.name for run in found.runs] == ["glorot"]
    (problem,) = found.problems
    assert problem.state == "damaged"
    assert problem.label == "finetune/dbn_seed0"
    assert reason in problem.message


def test_a_damaged_plan_is_listed(study):
    study.run("glorot", 0, 0.2)
    (study.directory / "sweep.json").write_text('{"jobs": [{}]}')
    assert "cannot be used" in problems(study)["sweep.json"].message


def test_a_result_with_only_the_required_keys_is_read(study):
    directory = study.unfinished("x", 3)
    content = {"study": "toy", "stage": "finetune", "name": "x", "seed": 3, "metrics": {"test/error": 0.5, "a": None}}
    (directory / "result.json").write_text(json.dumps(content))
    (run,) = read_study(study.directory).runs
    assert run.metrics == {"test/error": 0.5}
    assert (run.kind, run.data, run.labels, run.seconds, run.config) == ("unstated", "", "", None, {})


def test_a_metric_that_is_not_finite_is_no_value(study):
    study.run("dbn", 0, metrics={"test/error": float("nan"), "test/nll": float("inf"), "train/error": True, "x": 1})
    assert read_study(study.directory).runs[0].metrics == {"x": 1.0}


def test_seeds_of_one_job_with_one_problem_are_said_together() -> None:
    problems = [Problem("missing", f"dbn, seed {seed}", "never started", "dbn-finetune", "dbn") for seed in (0, 1, 2)]
    other = Problem("failed", "dbn, seed 3", "it broke", "dbn-finetune", "dbn")
    assert [problem.label for problem in group_by_seed([*problems, other])] == ["dbn, seeds 0, 1, 2", "dbn, seed 3"]
