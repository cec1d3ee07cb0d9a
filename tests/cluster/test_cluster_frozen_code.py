"""A sweep is submitted, the checkout is edited while it waits: results are those of the code that was submitted."""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.slurm import Cluster
from dbn.commands.configuration import config_directory
from dbn.runs.code import source_root

RUNS = int(os.environ.get("DBN_CLUSTER_RUNS", "12"))
"""Two arms with half as many seeds each; 250 show a sweep of the size that people submit."""


@pytest.fixture
def checkout(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that the test may edit."""
    place = tmp_path / "checkout"
    shutil.copytree(source_root(), place / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(config_directory(), place / "conf")
    (place / "pyproject.toml").touch()
    monkeypatch.setitem(cluster.environment, "PATH", f"{Path(sys.executable).parent}:{cluster.environment['PATH']}")
    monkeypatch.setitem(cluster.environment, "PYTHONPATH", str(place / "src"))
    return place


def test_jobs_that_wait_run_what_was_submitted(cluster: Cluster, folder: Path, checkout: Path) -> None:
    block = ["sbatch", "--parsable", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 600"]
    blocking = cluster.run(*block, folder=folder)
    cluster.wait_for(blocking, "RUNNING")
    seeds = ",".join(map(str, range(RUNS // 2)))
    sweep = [
        "-m", "study=s", "arm=random_relu,random_sigmoid", f"seed={seeds}", "stack.layers=[12]", "training.epochs=2",
        "submit=true", "runs_per_job=3", "hydra/launcher=slurm_cpu", "hydra.launcher.timeout_min=60",
    ]  # fmt: skip
    said = cluster.run("dbn-finetune", *sweep, folder=folder)
    (snapshot,) = (folder / "runs/s/code").glob("*/")
    assert f"The code is kept in runs/s/code/{snapshot.name}" in said
    (checkout / "src/finetune/runs/fitting.py").write_text("raise RuntimeError('edited')\n")
    train = checkout / "conf/finetune.yaml"
    train.write_text(train.read_text().replace("label_smoothing: 0.0", "label_smoothing: 0.5"))
    cluster.run("scancel", blocking)
    end = time.monotonic() + 120 + 40 * RUNS
    while not (folder / "runs/s/report.html").is_file():
        assert time.monotonic() < end, cluster.run("squeue", folder=folder)
        time.sleep(1)
    with (folder / "runs/s/results.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2 * (RUNS // 2)
    results = [json.loads(path.read_text()) for path in folder.glob("runs/s/finetune/*/result.json")]
    assert {result["code"] for result in results} == {snapshot.name}
    assert {result["config"]["training"]["label_smoothing"] for result in results} == {0.0}


def test_a_sweep_that_waits_for_its_jobs_is_frozen_as_well(cluster: Cluster, folder: Path, checkout: Path) -> None:
    """By Hydra's launcher, whose jobs compose their configuration when they start."""
    block = ["sbatch", "--parsable", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 600"]
    blocking = cluster.run(*block, folder=folder)
    cluster.wait_for(blocking, "RUNNING")
    sweep = [
        "dbn-finetune", "-m", "study=s", "arm=random_relu", "seed=0", "stack.layers=[12]", "training.epochs=2",
        "hydra/launcher=slurm_cpu",
    ]  # fmt: skip
    with subprocess.Popen(sweep, cwd=folder, env=cluster.environment, stdout=subprocess.PIPE, text=True) as waiting:
        end = time.monotonic() + 200
        while not list(folder.glob("runs/s/slurm/*/*_submitted.pkl")):
            assert time.monotonic() < end
            assert waiting.poll() is None
            time.sleep(0.2)
        (checkout / "src/finetune/runs/network_run.py").write_text("raise RuntimeError('edited')\n")
        (checkout / "src/finetune/report/__init__.py").write_text("raise RuntimeError('edited')\n")
        (checkout / "conf/finetune.yaml").write_text("edited: true\n")
        cluster.run("scancel", blocking)
        assert waiting.wait(300) == 0
    (snapshot,) = (folder / "runs/s/code").glob("*/")
    (result,) = folder.glob("runs/s/finetune/*/result.json")
    assert json.loads(result.read_text())["code"] == snapshot.name
    assert (folder / "runs/s/report.html").is_file(), "the sweep itself runs the snapshot, too"
