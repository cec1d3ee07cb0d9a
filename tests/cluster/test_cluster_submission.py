"""submit=true on a cluster: the command returns, its jobs make all runs, the report comes behind them."""

import csv
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cluster.slurm import Cluster


def status(cluster: Cluster, folder: Path) -> dict[str, Any]:
    """What dbn-status json=true says."""
    found = json.loads(cluster.run("dbn-status", "runs/s", "json=true", folder=folder))
    assert isinstance(found, dict)
    return found


def test_a_sweep_is_handed_over(cluster: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four jobs of two runs each, two have a node each; the others wait."""
    monkeypatch.setitem(cluster.environment, "PATH", f"{Path(sys.executable).parent}:{cluster.environment['PATH']}")
    sweep = [
        "-m", "study=s", "arm=random_relu,random_sigmoid", "seed=0,1,2,3", "stack.layers=[12]", "training.epochs=2",
        "submit=true", "runs_per_job=2", "hydra/launcher=slurm_cpu", "hydra.launcher.timeout_min=30",
    ]  # fmt: skip
    said = cluster.run("dbn-finetune", *sweep, folder=folder)
    assert "s: 8 runs in 4 jobs" in said
    assert not list(folder.glob("runs/s/finetune/*/result.json")), "it has not waited"
    first = status(cluster, folder)
    assert first["slurm"]["unknown"] is None
    assert first["counts"]["pending"] >= 4, first["counts"]
    waiting = [run for run in first["runs"] if run["state"] == "pending"]
    assert all(run["job"] and run["reason"] for run in waiting)
    end = time.monotonic() + 400
    while not (folder / "runs/s/report.html").is_file():
        assert time.monotonic() < end, cluster.run("squeue", folder=folder)
        time.sleep(1)
    with (folder / "runs/s/results.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 8
    while not (last := status(cluster, folder))["over"]:
        assert time.monotonic() < end
        time.sleep(1)
    assert last["counts"]["done"] == 8
    records = [json.loads(path.read_text()) for path in folder.glob("runs/s/finetune/*/process.json")]
    assert len({record["job"] for record in records}) == 4
    for record in records:
        assert record["host"] in ("n1", "n2")
        assert Path(record["log"]).parent == folder / "runs/s/slurm"
        assert Path(record["log"]).name == f"{record['job']}.out"
        assert ", start 0, in " in Path(record["log"]).read_text()
