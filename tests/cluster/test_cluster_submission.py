"""A sweep handed to SLURM as one that a person submits: longer than an array may be, packed, frozen, disturbed."""

import csv
import json
import os
import re
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cluster.slurm import Cluster
from dbn.commands.configuration import config_directory

TINY = ["stack.layers=[12,12]", "training.epochs=8", "training.batch_size=50", "checkpoint_seconds=0"]
SUBMIT = [
    "submit=true", "hydra/launcher=slurm_cpu", "cluster=ours", "hydra.launcher.array_parallelism=3",
]  # fmt: skip
FAILED = "random_relu_training.learning_rate=1e+18"


@pytest.fixture
def site(cluster: Cluster, folder: Path) -> str:
    """The site's file as docs/cluster.md shows it, on this cluster; returns what squeue says of its jobs."""
    for words in (("account", "ab1234"), ("user", cluster.user, "account=ab1234")):
        cluster.run("sacctmgr", "--immediate", "add", *words)
    page = (config_directory().parent / "docs/cluster.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(# Our cluster.*?)```", page, flags=re.DOTALL)
    for word, here in (
        ("partition: fast", "partition: low"),
        ("module load python/3.11", "echo the site sets up"),
        ("max_array_size: 100 ", "max_array_size: null "),
    ):
        assert text.count(word) == 1
        text = text.replace(word, here)
    file = folder / "conf/cluster/ours.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")
    return "low ab1234 skylake|icelake 10:00:00"


def status(cluster: Cluster, folder: Path) -> dict[str, Any]:
    """What dbn-status json=true says."""
    found = json.loads(cluster.run("dbn-status", "runs/s", "json=true", folder=folder))
    assert isinstance(found, dict)
    return found


def submit(cluster: Cluster, folder: Path, *settings: str, cores: int = 1) -> str:
    """Hand a sweep over; returns what is said."""
    asked = f"hydra.launcher.cpus_per_task={cores}"
    return cluster.run("dbn-finetune", "-m", "study=s", *settings, *TINY, *SUBMIT, asked, folder=folder)


def arrays_in(said: str) -> list[str]:
    """Numbers of the arrays."""
    found = re.search(r", arrays? ([\d, ]+\d)", said)
    assert found is not None, said
    return found.group(1).split(", ")


def stop_a_run_in_the_midst(folder: Path, before: Sequence[Path], end: float) -> tuple[Path, dict[str, Any]]:
    """Stop the process of a run that has trained for two epochs or more; returns its directory and its process.

    Not yet to kill it: first it must be sure that it has no result.
    """
    while time.monotonic() < end:
        for run in {path.parent for path in folder.glob("runs/s/finetune/*/metrics.csv")} - {*before}:
            if "learning_rate" in run.name:  # of the second sweep
                continue
            if (run / "result.json").exists() or len((run / "metrics.csv").read_text().splitlines()) < 3:
                continue
            process = json.loads((run / "process.json").read_text())
            with suppress(ProcessLookupError):
                os.kill(process["pid"], signal.SIGSTOP)
                if not (run / "result.json").exists():
                    return run, process
                os.kill(process["pid"], signal.SIGCONT)
        time.sleep(0.02)
    raise AssertionError("no run was caught in the midst")


def wait_for_all(cluster: Cluster, end: float) -> None:
    """Wait until the queue is empty."""
    while queue := cluster.run("squeue", "--noheader", check=False):
        assert time.monotonic() < end, queue
        time.sleep(1)


def reported(folder: Path) -> set[tuple[str, str]]:
    """Names and seeds of the runs in the report's table."""
    with (folder / "runs/s/results.csv").open() as file:
        rows = [(row["name"], row["seed"]) for row in csv.DictReader(file)]
    assert len(rows) == len({*rows})
    return {*rows}


def results(folder: Path) -> Mapping[Path, dict[str, Any]]:
    """Every result by the directory of its run."""
    return {path.parent: json.loads(path.read_text()) for path in folder.glob("runs/s/finetune/*/result.json")}


def test_a_sweep_that_is_cut_packed_edited_and_killed(
    cluster: Cluster, folder: Path, checkout: Path, busy: str, site: str, n_runs: int
) -> None:
    """Two arms, and a second sweep into the same study with a learning rate that is too high: all but that one run.

    Nothing has been started when the checkout is edited. Two runs are killed, one with all of its job; they are
    submitted again, and end with the bits that they would have had.
    """
    end = time.monotonic() + 600 + 60 * n_runs
    seeds = range(n_runs // 2 - 1)
    sweep = ["arm=random_relu,random_sigmoid", f"seed={','.join(map(str, seeds))}"]
    said = submit(cluster, folder, *sweep, "runs_per_job=2")
    n_first = 2 * len(seeds)
    first = arrays_in(said)
    assert f"s: {n_first} runs in {n_first // 2} jobs, " in said
    assert len(first) == -(-n_first // 2 // cluster.max_array_size) >= 2
    more = submit(cluster, folder, "arm=random_relu", "training.learning_rate=0.2,1e18", "seed=0", "runs_per_job=2")
    assert "s: 2 runs in 1 job, array " in more
    (snapshot,) = (folder / "runs/s/code").glob("*/")
    assert f"The code is kept in runs/s/code/{snapshot.name}" in said
    assert not results(folder), "it has not waited"
    waiting = cluster.run("squeue", "--noheader", "--array", "--name=dbn-s", "--format=%F %r %P %a %f %l").splitlines()
    assert {line.split(maxsplit=2)[2] for line in waiting} == {site}
    assert {line.split()[1] for line in waiting if line.split()[0] in first[1:]} == {"Dependency"}
    assert len(waiting) == n_first // 2 + 1
    found = status(cluster, folder)
    assert found["slurm"]["unknown"] is None
    assert found["counts"] == {**dict.fromkeys(found["counts"], 0), "pending": n_runs}
    assert all(run["job"] and run["reason"] for run in found["runs"])
    (checkout / "src/finetune/runs/fitting.py").write_text("raise RuntimeError('edited')\n")
    train = checkout / "conf/finetune.yaml"
    train.write_text(train.read_text().replace("label_smoothing: 0.0", "label_smoothing: 0.5"))
    cluster.run("scancel", busy)

    killed, process = stop_a_run_in_the_midst(folder, [], end)
    os.kill(process["pid"], signal.SIGKILL)
    with_its_job, process = stop_a_run_in_the_midst(folder, [killed], end)
    cluster.run("scancel", "--signal=KILL", process["job"])
    log = Path(process["log"])
    assert log == folder / f"runs/s/slurm/{process['job']}.out"
    assert f"the site sets up\n{time.strftime('%Y')}" in log.read_text()
    wait_for_all(cluster, end)
    done = results(folder)
    assert not {killed, with_its_job} & {*done}
    assert len(done) in (n_runs - 3, n_runs - 4), "of the killed job's two runs the second has not been begun"
    assert len(reported(folder)) == len(done), "a report is written all the same"
    found = status(cluster, folder)
    assert found["over"]
    assert (found["counts"]["done"], found["counts"]["failed"]) == (len(done), 1)
    (failed,) = [run for run in found["runs"] if run["state"] == "failed"]
    assert failed["name"] == FAILED
    assert "diverged" in failed["message"]
    times = {run: (run / "result.json").stat().st_mtime_ns for run in done}

    frozen = f"runs/s/code/{snapshot.name}:{cluster.environment['PYTHONPATH']}"
    cluster.environment["PYTHONPATH"] = frozen  # the checkout, which is what commands run, would not do
    again = submit(cluster, folder, *sweep, "job_minutes=10", "runs_at_once=2", cores=2)
    assert f"s: {n_first - len(done) + 1} runs in 1 job, array " in again
    assert f", {len(done) - 1} done; " in again
    wait_for_all(cluster, end)
    assert [*(folder / "runs/s/code").glob("*/")] == [snapshot]
    wanted = {(arm, str(seed)) for arm in ("random_relu", "random_sigmoid") for seed in seeds}
    assert reported(folder) == {*wanted, ("random_relu_training.learning_rate=0.2", "0")}
    page = (folder / "runs/s/report.html").read_text()
    assert re.search(rf"{re.escape(FAILED)}, seed 0(<[^>]*>)+[^<]*diverged", page)
    done = results(folder)
    assert len(done) == n_runs - 1
    assert {result["code"] for result in done.values()} == {snapshot.name}
    assert {result["config"]["training"]["label_smoothing"] for result in done.values()} == {0.0}
    assert {run: (run / "result.json").stat().st_mtime_ns for run in times} == times, "nothing is made twice"
    text = cluster.run("dbn-status", "runs/s", "watch=true", "every=1", folder=folder)
    assert f"{n_runs - 1} of {n_runs} runs done, 1 failed" in text

    for run in (killed, with_its_job):
        assert "going on from the checkpoint of" in (run / "finetune.log").read_text()
    command = f"OMP_NUM_THREADS=1 {done[killed]['command']} paths.runs=again"
    assert command.split()[1] == f"PYTHONPATH=runs/s/code/{snapshot.name}"
    cluster.run("bash", "-c", command, folder=folder)
    for file in ("network.safetensors", "metrics.csv"):
        assert (killed / file).read_bytes() == (folder / "again/s/finetune" / killed.name / file).read_bytes()
