"""Metrics in CSV and in Weights & Biases, offline, read back from what is on disk."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from wandb.errors import AuthenticationError, CommError, UsageError

from dbn.errors import SettingError, TrackingError
from dbn.fitting.metrics_file import MetricsFile
from dbn.runs.tracking import Tracking, tracking
from dbn.runs.wandb_settings import short, translated_errors
from offline_runs import offline_runs, records

SMALL = ["stack.layers=[12]", "stack.every_layer.epochs=3", "training.epochs=4", "study=tracked", "logger=wandb"]


def run_command(folder: Path, *overrides: str) -> None:
    """dbn-finetune in a process of its own, offline."""
    environment = {**os.environ, "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1", "CI": "true"}
    command = [sys.executable, "-m", "finetune.train", *SMALL, *overrides]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def stack_of(study: Path, seed: int) -> Path:
    """Directory of the one stack of a seed."""
    (directory,) = study.glob(f"pretrain/digits_12_*_seed{seed}")
    return directory


def exit_codes(found: list[dict[str, Any]]) -> list[int]:
    """How a run says that it ended."""
    return [record["exit"].get("exit_code", 0) for record in found if record["type"] == "exit"]


def rows_of(directory: Path) -> list[dict[str, float]]:
    """The rows of ``metrics.csv``."""
    rows = MetricsFile(directory / "metrics.csv").rows
    return [{name: float(value) for name, value in rows[epoch].items()} for epoch in sorted(rows)]


def points_of(found: list[dict[str, Any]]) -> list[dict[str, float]]:
    """The points of a run that are no pictures."""
    history = [record["history"]["item"] for record in found if record["type"] == "history"]
    points = [row for row in history if not any(name.endswith("._type") for name in row)]
    return [{name: value for name, value in row.items() if not name.startswith("_")} for row in points]


def summary_of(found: list[dict[str, Any]]) -> dict[str, float]:
    """The numbers that a run says it has ended with."""
    updates = [record["summary"].get("update", {}) for record in found if record["type"] == "summary"]
    return {name: value for update in updates for name, value in update.items() if name.startswith("test/")}


def test_two_jobs_of_a_multirun_are_two_runs_with_their_own_histories(tmp_path: Path) -> None:
    run_command(tmp_path, "-m", "arm=dbn,random_relu", "seed=0")
    study = tmp_path / "runs/tracked"
    ids = set()
    report = (study / "wandb_id").read_text()
    for directory, job_type, n_epochs, tags in (
        (stack_of(study, 0), "pretrain", 3, {"digits", "12", "seed0"}),
        (study / "finetune/dbn_seed0", "finetune", 4, {"digits", "12", "dbn", "seed0"}),
        (study / "finetune/random_relu_seed0", "finetune", 4, {"digits", "12", "random_relu", "seed0"}),
    ):
        (offline,) = offline_runs(directory)
        found = records(offline)
        (run,) = (record["run"] for record in found if record["type"] == "run")
        assert run["project"] == "dbn"
        assert run["run_group"] == "tracked"
        assert run["job_type"] == job_type
        assert run["display_name"] == directory.name
        assert set(run["tags"]) == tags
        assert run["notes"] == f"Report of the study tracked: run {report} of this project"
        assert run["run_id"] == (directory / "wandb_id").read_text()
        ids.add(run["run_id"])
        history = [record["history"]["item"] for record in found if record["type"] == "history"]
        assert len(rows_of(directory)) == n_epochs
        assert points_of(found) == rows_of(directory), "every point, and nothing that metrics.csv does not have"
        result = json.loads((directory / "result.json").read_text())
        assert summary_of(found) == {k: v for k, v in result["metrics"].items() if k.startswith("test/")}
        pictures = {name for row in history for name in row if name.startswith(("filters", "reconstructions"))}
        assert pictures, "pictures are logged"
        assert exit_codes(found) == [0]
    assert len(ids) == 3
    (offline,) = offline_runs(study)
    found = records(offline)
    (run,) = (record["run"] for record in found if record["type"] == "run")
    assert (run["job_type"], run["run_group"], run["display_name"]) == ("report", "tracked", "tracked_report")
    assert run["run_id"] == report
    assert len(list(tmp_path.rglob("offline-run-*"))) == 4
    logged = [name for record in found if record["type"] == "history" for name in record["history"]["item"]]
    for shown in ("report", "tables/digits, classifier, all labels", "tables/runs"):
        assert any(name.startswith(shown) for name in logged)
    assert exit_codes(found) == [0]
    (table,) = offline.glob("files/media/table/tables/runs_*.table.json")
    assert {row[2] for row in json.loads(table.read_text())["data"]} == ids


def test_runs_that_trained_together_have_their_own_histories(tmp_path: Path) -> None:
    run_command(tmp_path, "arm=dbn", "n_parallel_seeds=2")
    last = set()
    for seed in (0, 1):
        for directory, metric, n_epochs in (
            (stack_of(tmp_path / "runs/tracked", seed), "layer1/reconstruction_error", 3),
            (tmp_path / f"runs/tracked/finetune/dbn_seed{seed}", "validation/error", 4),
        ):
            (offline,) = offline_runs(directory)
            found = records(offline)
            (run,) = (record["run"] for record in found if record["type"] == "run")
            assert run["display_name"] == directory.name
            history = [record["history"]["item"] for record in found if record["type"] == "history"]
            values = [row[metric] for row in history if metric in row]
            written = [float(row[metric]) for row in MetricsFile(directory / "metrics.csv").rows.values()]
            assert len(values) == n_epochs
            assert values == pytest.approx(written)
            assert any(name.startswith("filters") for row in history for name in row)
            assert exit_codes(found) == [0]
            last.add(values[0])
    assert len(last) >= 3, "each seed has numbers of its own"


def test_an_interrupted_run_goes_on_under_its_id(tmp_path: Path) -> None:
    directory = tmp_path / "runs/tracked/finetune/random_relu_seed0"
    run_command(tmp_path, "arm=random_relu")
    (directory / "result.json").unlink()  # as if killed just before the end
    run_command(tmp_path, "arm=random_relu")
    runs = offline_runs(directory)
    assert len(runs) == 2
    assert len({record["run"]["run_id"] for run in runs for record in records(run) if record["type"] == "run"}) == 1


def test_rows_of_epochs_done_again_are_replaced_and_the_others_kept(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    undisturbed = MetricsFile(tmp_path / "whole.csv")
    first = MetricsFile(path)
    for epoch in range(3):
        first.log_metrics({"epoch": epoch, "loss": 1 / (epoch + 3)})
    first.flush()
    again = MetricsFile(path)
    for epoch in range(2, 5):
        again.log_metrics({"epoch": epoch, "loss": 1 / (epoch + 3)})
    again.finalize("success")
    for epoch in range(5):
        undisturbed.log_metrics({"epoch": epoch, "loss": 1 / (epoch + 3)})
    undisturbed.finalize("success")
    assert path.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_fits_that_follow_each_other_share_the_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    MetricsFile(path).log_metrics({"epoch": 0, "layer1/x": 1.0})
    MetricsFile(path, first_epoch=1).log_metrics({"epoch": 0, "layer2/x": 2.0})
    assert path.read_text() == "epoch,layer1/x,layer2/x\n0,1.0,\n1,,2.0\n"


def track(settings: dict[str, Any], name: str = "name", tags: list[str] | None = None, study: str = "study") -> None:
    with tracking(
        Path("run").resolve(), settings, study=study, stage="finetune", name=name, tags=tags or [], config={}
    ):
        pass


@pytest.fixture
def no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has logged in here."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("NETRC", raising=False)


@pytest.mark.usefixtures("no_account")
def test_without_a_key_it_says_what_to_do_and_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"project": "dbn", "entity": None, "tags": [], "mode": None}
    for attempt in (lambda: track(settings), lambda: Tracking([lambda: None] * 2, [Path()] * 2, settings).__enter__()):
        with pytest.raises(
            TrackingError, match=r"wandb login .* WANDB_API_KEY.*WANDB_MODE=offline .*logger.wandb.mode=offline"
        ):
            attempt()
    track({**settings, "mode": "offline"})
    assert offline_runs(Path("run"))
    monkeypatch.setenv("WANDB_MODE", "ofline")
    with pytest.raises(SettingError, match=r"WANDB_MODE='ofline'.*Did you mean offline"):
        track(settings)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (AuthenticationError("invalid: API key must have 40+ characters"), "does not take the key: .*wandb login"),
        (CommError("Timed out while retrying: no such host"), "does not answer: .*no such host.*WANDB_MODE=offline"),
        (UsageError("No API key configured."), "there is no key .*wandb login"),
    ],
)
def test_what_weights_and_biases_refuses_is_said_with_the_cure(error: Exception, words: str) -> None:
    with pytest.raises(TrackingError, match=words), translated_errors({}):
        raise error


def test_names_and_tags_that_are_too_long_are_shortened_and_stay_apart() -> None:
    long = "n" * 300
    track({"project": "dbn", "tags": "one", "mode": "offline"}, name=long, tags=[long, f"{long}x"], study=long)
    (offline,) = offline_runs(Path("run"))
    (run,) = (record["run"] for record in records(offline) if record["type"] == "run")
    assert run["display_name"].startswith("nnn")
    assert len(run["display_name"]) == len(run["run_group"]) == 128
    assert len(run["tags"]) == 3
    assert "one" in run["tags"]
    assert max(map(len, run["tags"])) == 64
    assert short("abc", 64) == "abc"


@pytest.mark.parametrize(
    ("key", "value"),
    [("tags", ["a" * 65]), ("tags", [""]), ("tags", {"a": 1}), ("project", "a/b"), ("project", "p" * 129),
     ("entity", "a#b"), ("mode", "ofline"), ("nosuch", 1)],
)  # fmt: skip
def test_a_setting_that_weights_and_biases_would_refuse(key: str, value: Any) -> None:
    with pytest.raises(SettingError, match=f"logger.wandb.{key}"):
        track({"project": "dbn", key: value})
