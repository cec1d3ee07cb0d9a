"""``make soak``: a study on a SLURM cluster whose jobs are killed thirty times at random ends in the same files.

Kills are SIGKILL (the job fails and is submitted again), SIGUSR1 (the job goes back into the queue by itself) and
preemption by a job of a higher partition. Prints every kill, and what differs from the study left alone: nothing.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cluster.slurm import Cluster, missing_programs
from dbn.commands.configuration import config_directory

SLURM = config_directory().parent / "slurm"
RUNS = [("dbn", 0), ("dbn", 1), ("dbn_dropout", 0), ("random_relu", 0)]
SETTINGS = [
    "study=soak", "stack.layers=[30,20]", "stack.every_layer.epochs=40", "stack.every_layer.batch_size=5",
    "training.epochs=60", "training.batch_size=5", "checkpoint_seconds=1",
]  # fmt: skip
FILES = ("dbn.safetensors", "network.safetensors", "metrics.csv")
OVER = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "GONE")


def submit(cluster: Cluster, folder: Path, arm: str, seed: int) -> str:
    """Submit one run."""
    words = ["sbatch", "--parsable", "--cpus-per-task=1", str(SLURM / "finetune.sbatch"), f"arm={arm}", f"seed={seed}"]
    return cluster.run(*words, *SETTINGS, folder=folder)


def done(folder: Path, arm: str, seed: int) -> bool:
    """Whether a run has its result."""
    return (folder / f"runs/soak/finetune/{arm}_seed{seed}/result.json").is_file()


def leave_alone(cluster: Cluster, folder: Path) -> None:
    """The study, left alone."""
    for job in [submit(cluster, folder, *run) for run in RUNS]:
        cluster.wait_for(job, seconds=600)


def disturb(cluster: Cluster, folder: Path, n_kills: int, chance: random.Random) -> int:
    """The study, its jobs killed; returns how often."""
    jobs = {run: submit(cluster, folder, *run) for run in RUNS}
    kills = 0
    while not all(done(folder, *run) for run in RUNS):
        time.sleep(chance.uniform(0.2, 3))
        for run, job in jobs.items():
            if not done(folder, *run) and cluster.state(job) in OVER:
                jobs[run] = submit(cluster, folder, *run)
        running = [job for job in jobs.values() if cluster.state(job) == "RUNNING"]
        if not running or kills >= n_kills:
            continue
        kills += 1
        job, way = chance.choice(running), chance.choice(["KILL", "USR1", "preemption"])
        print(f"{kills:3} job {job}: {way}", flush=True)
        if way == "preemption":
            options = ("--partition=high", "--exclusive", "--nodes=2", "--output=/dev/null", "--wrap=sleep 1")
            cluster.run("sbatch", *options, folder=folder)
        else:
            cluster.run("scancel", f"--signal={way}", job, check=False)
    return kills


def content(path: Path) -> Any:
    """What of a file must be the same."""
    if path.name != "result.json":
        return path.read_bytes()
    result = json.loads(path.read_text(encoding="utf-8"))
    return {key: value for key, value in result.items() if not key.endswith(("seconds", "other_load"))}


def differences(one: Path, other: Path) -> list[str]:
    """Files of two studies that are not the same."""
    names = (*FILES, "result.json")
    paths = {path.relative_to(folder) for folder in (one, other) for name in names for path in folder.rglob(name)}
    return sorted(
        str(path)
        for path in paths
        if not all((folder / path).is_file() for folder in (one, other)) or content(one / path) != content(other / path)
    )


def main() -> None:
    """Soak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30, help="how many (default 30)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and ways")
    options = parser.parse_args()
    if missing := missing_programs():
        sys.exit(f"SLURM is not installed: {', '.join(missing)} are missing")
    with tempfile.TemporaryDirectory() as temporary:
        alone, disturbed, home = (Path(temporary) / name for name in ("alone", "disturbed", "slurm"))
        for folder in (alone, disturbed, home):
            folder.mkdir()
        cluster = Cluster(home)
        cluster.start()
        cluster.environment["PATH"] = f"{Path(sys.executable).parent}:{cluster.environment['PATH']}"
        try:
            leave_alone(cluster, alone)
            kills = disturb(cluster, disturbed, options.kills, random.Random(options.seed))
        finally:
            cluster.stop()
        found = differences(alone / "runs", disturbed / "runs")
    print(f"{kills} kills; files that differ: {', '.join(found) or 'none'}")
    sys.exit(1 if found or kills < options.kills else 0)


if __name__ == "__main__":
    main()
