"""Ways of making a study on a SLURM cluster of its own, whose jobs are killed.

Kills are SIGKILL (the job fails and is submitted again), SIGUSR1 (the job goes back into the queue by itself) and
preemption by a job of a higher partition.
"""

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.slurm import Cluster
from dbn.commands.configuration import config_directory

SLURM = config_directory().parent / "slurm"
RUNS = [("dbn", 0), ("dbn", 1), ("dbn_dropout", 0), ("random_relu", 0)]
SETTINGS = [
    "study=soak", "stack.layers=[30,20]", "stack.every_layer.epochs=40", "stack.every_layer.batch_size=5",
    "training.epochs=60", "training.batch_size=5", "checkpoint_seconds=1",
]  # fmt: skip
SWEEP = ["-m", "arm=dbn,dbn_dropout,random_relu", "seed=0,1", "submit=true", "runs_per_job=2"]
LAUNCHER = ["hydra/launcher=slurm_cpu", "hydra.launcher.cpus_per_task=1", "hydra.launcher.timeout_min=60"]


@contextmanager
def own_cluster() -> Iterator[Cluster]:
    """A cluster while the block lasts, which finds this environment's commands."""
    with tempfile.TemporaryDirectory() as home:
        cluster = Cluster(Path(home))
        cluster.start()
        cluster.environment["PATH"] = f"{Path(sys.executable).parent}:{cluster.environment['PATH']}"
        try:
            yield cluster
        finally:
            cluster.stop()


@dataclass
class SlurmWay:
    """A study on a cluster.

    Attributes:
        name: ``slurm``: each run is submitted by ``slurm/finetune.sbatch``; ``submit``: all at once by ``submit=true``,
            two runs in a job, with the code that the study keeps.
        cluster: the cluster.
    """

    name: str
    cluster: Cluster

    def submit(self, folder: Path) -> None:
        """Submit what is neither done nor in the queue."""
        if self.name == "submit":
            self.cluster.run("dbn-finetune", *SWEEP, *LAUNCHER, *SETTINGS, "progress=false", folder=folder)
            return
        queued = self.cluster.run("squeue", "--noheader", "--format=%j").split()
        for arm, seed in RUNS:
            done = (folder / f"runs/soak/finetune/{arm}_seed{seed}/result.json").is_file()
            if not done and f"{arm}_{seed}" not in queued:
                words = ["sbatch", "--parsable", "--cpus-per-task=1", f"--job-name={arm}_{seed}"]
                words += [str(SLURM / "finetune.sbatch"), f"arm={arm}", f"seed={seed}", *SETTINGS]
                self.cluster.run(*words, folder=folder)

    def is_done(self, folder: Path) -> bool:
        """Whether every run has its result, and nothing is in the queue any more."""
        wanted = len(RUNS) if self.name == "slurm" else 6
        done = len(list(folder.glob("runs/soak/finetune/*/result.json")))
        return done == wanted and not self.cluster.run("squeue", "--noheader", check=False)

    def running(self) -> list[str]:
        """Numbers of the jobs that are at work; a report that is killed is called again by hand."""
        shown = self.cluster.run("squeue", "--noheader", "--states=RUNNING", "--format=%i %j", check=False)
        return [line.split()[0] for line in shown.splitlines() if "dbn-report" not in line]

    def leave_alone(self, folder: Path) -> float:
        """The study, left alone; returns the seconds that it took."""
        begun = time.monotonic()
        self.submit(folder)
        while not self.is_done(folder):
            time.sleep(0.5)
        return time.monotonic() - begun

    def disturb(self, folder: Path, n_kills: int, seconds: float, chance: random.Random) -> int:
        """The study, its jobs killed at most ``n_kills`` times in the ``seconds`` it takes; returns how often."""
        kills = 0
        self.submit(folder)
        while not self.is_done(folder):
            time.sleep(chance.uniform(0.2, min(3.0, 2 * seconds / n_kills)))
            self.submit_again(folder)
            running = self.running()
            if running and kills < n_kills:
                kills += 1
                self.kill(chance.choice(running), chance.choice(["KILL", "USR1", "preemption"]), folder, kills)
        return kills

    def submit_again(self, folder: Path) -> None:
        """Submit what was killed: of single jobs each at once, of a sweep the rest when nothing of it is left."""
        if self.name == "slurm" or not self.cluster.run("squeue", "--noheader", check=False):
            self.submit(folder)

    def kill(self, job: str, kind: str, folder: Path, number: int) -> None:
        """Kill a job."""
        print(f"{number:3} {self.name}: job {job}: {kind}", flush=True)
        if kind == "preemption":
            options = ("--partition=high", "--exclusive", "--nodes=2", "--output=/dev/null", "--wrap=sleep 1")
            self.cluster.run("sbatch", *options, folder=folder)
        else:
            self.cluster.run("scancel", f"--signal={kind}", job, check=False)
