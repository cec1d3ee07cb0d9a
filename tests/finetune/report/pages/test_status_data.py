"""dbn-status json=true: its keys are what other programs rely on."""

import json
from pathlib import Path

from filelock import FileLock

from finetune.report.pages.status_data import status_data
from finetune.report.results.study_state import read_study_state

KEYS = {
    "schema", "study", "directory", "time", "over", "counts", "stacks", "seconds_done", "seconds_left", "checkout",
    "submitted", "checkout_code", "submitted_code", "code", "slurm", "runs",
}  # fmt: skip
RUN_KEYS = {
    "stage", "name", "seed", "state", "label", "directory", "arm", "epoch", "epochs", "metric", "value", "seconds",
    "seconds_left", "message", "log", "job", "host", "reason", "command", "git", "code", "code_before",
}  # fmt: skip


def test_keys_and_values(study):
    plan = [{"arm": "dbn", "name": "dbn", "seed": seed, "overrides": [], "command": f"dbn-finetune seed={seed}"}
            for seed in range(4)]  # fmt: skip
    (study.directory / "sweep.json").write_text(json.dumps({"jobs": plan}))
    study.run("stack", 0, stage="pretrain", metrics={}, seconds=5.0)
    study.run("dbn", 0, metrics={"validation/error": 0.25, "test/error": 0.5})
    study.unfinished("dbn", 1, "it broke")
    at_work = study.unfinished("dbn", 2)
    with FileLock(at_work / ".lock"):
        data = json.loads(json.dumps(status_data(read_study_state(study.directory)), allow_nan=False))
    assert set(data) == KEYS
    assert data["schema"] == 1
    assert data["counts"] == {
        "done": 1, "running": 1, "failed": 1, "missing": 1, "pending": 0, "damaged": 0, "unfinished": 0,
    }  # fmt: skip
    assert (data["stacks"], data["seconds_done"], data["seconds_left"], data["over"]) == (1, 15.0, 30.0, False)
    assert data["code"] == [{"commit": "0123456789abcdef", "dirty": False, "code": None, "runs": 2}]
    assert all(set(run) == RUN_KEYS for run in data["runs"])
    runs = {(run["stage"], run["seed"]): run for run in data["runs"]}
    assert (runs["finetune", 0]["metric"], runs["finetune", 0]["value"]) == ("validation/error", 0.25)
    assert runs["finetune", 1]["message"] == "it broke"
    assert Path(runs["finetune", 1]["log"]).read_text() == "it broke"
    assert runs["finetune", 2]["directory"] == str(at_work)
    assert runs["finetune", 3]["command"] == "dbn-finetune seed=3"


def test_the_documentation_names_every_key():
    text = (Path(__file__).parents[4] / "docs" / "cluster.md").read_text(encoding="utf-8")
    assert not {key for key in KEYS | RUN_KEYS if f"`{key}`" not in text}
