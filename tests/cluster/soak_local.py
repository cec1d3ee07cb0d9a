"""Ways of making a study without SLURM, whose processes are killed: SIGKILL, SIGTERM, Ctrl-C, a dead worker."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
QUICK = [
    "study=soak", "checkpoint_seconds=0.5", "progress=false", "stack.layers=[30,20]", "stack.every_layer.epochs=10",
    "training.epochs=20",
]  # fmt: skip
STARTED = ("metrics.csv", "last.ckpt")
"""Files whose change says that a command has come to its work."""


@dataclass(frozen=True)
class LocalWay:
    """A command that is killed and called again until it is done.

    Attributes:
        name: of the way.
        arguments: of dbn-finetune.
        has_workers: whether its jobs are processes of their own, any of which may be killed, too.
    """

    name: str
    arguments: tuple[str, ...]
    has_workers: bool = False

    def start(self, folder: Path) -> "subprocess.Popen[bytes]":
        """Call the command in a folder; what it says goes into the file ``said.txt`` there."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HYDRA_FULL_ERROR": "0", "WANDB_MODE": "offline"}
        with (folder / "said.txt").open("a") as said:
            return subprocess.Popen(
                [str(BIN / "dbn-finetune"), *QUICK, *self.arguments], cwd=folder, env=environment, stdout=said,
                stderr=said, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    def leave_alone(self, folder: Path) -> float:
        """The study left alone; returns the seconds from its first work to its end."""
        process = self.start(folder)
        since = time.time()
        wait_for_work(process, folder, since)
        begun = time.monotonic()
        check(process.wait(), folder)
        return time.monotonic() - begun

    def disturb(self, folder: Path, n_kills: int, seconds: float, chance: random.Random) -> int:
        """The study, its command killed at most ``n_kills`` times; returns how often.

        Args:
            folder: where it is called, empty.
            n_kills: largest number of kills.
            seconds: what its work takes when it is left alone.
            chance: of moments and kinds of kill.
        """
        kills = 0
        while True:
            process = self.start(folder)
            if kills < n_kills:
                # Half of the kills come wherever it is, importing packages for the most part; half when it is at work.
                moment = chance.uniform(0, 1.5 * seconds / n_kills)
                if chance.random() < 0.75:
                    wait_for_work(process, folder, time.time())
                with suppress(subprocess.TimeoutExpired):
                    process.wait(moment)
                if process.poll() is None:
                    kills += 1
                    self.kill(process, chance, kills)
                    process.wait()
                    continue
            status = process.wait()
            check(status, folder)
            return kills

    def kill(self, process: "subprocess.Popen[bytes]", chance: random.Random, number: int) -> None:
        """Kill the command, or one of its workers and then the command."""
        kinds = ["KILL", "KILL", "TERM", "INT", *(["a worker"] if self.has_workers else [])]
        kind = chance.choice(kinds)
        print(f"{number:3} {self.name}: {kind}", flush=True)
        if kind == "a worker":
            for worker in workers_of(process.pid):
                os.kill(worker, signal.SIGKILL)
        else:
            process.send_signal(getattr(signal, f"SIG{kind}"))


def workers_of(parent: int) -> list[int]:
    """Processes of a launcher's pool."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
    return [int(number) for number in children if b"spawn_main" in Path(f"/proc/{number}/cmdline").read_bytes()]


def wait_for_work(process: "subprocess.Popen[bytes]", folder: Path, since: float) -> None:
    """Wait until a file of a run has changed since a time, or the command has ended."""
    while process.poll() is None:
        for path in files_under(folder):
            with suppress(FileNotFoundError):
                if path.name in STARTED and path.stat().st_mtime > since:
                    return
        time.sleep(0.3)


def files_under(folder: Path) -> Iterator[Path]:
    """Files of a folder, which others may come to and go from meanwhile (Path.rglob fails where one is gone)."""
    for directory, _, names in os.walk(folder):
        yield from (Path(directory) / name for name in names)


def check(status: int, folder: Path) -> None:
    """Refuse a command that nobody has killed and that failed.

    Raises:
        RuntimeError: it has.
    """
    if status != 0:
        raise RuntimeError(f"status {status}:\n{(folder / 'said.txt').read_text()[-4000:]}")


LOCAL_WAYS = [
    LocalWay("local", ("-m", "hydra/launcher=local", "arm=dbn,dbn_dropout,random_relu"), has_workers=True),
    LocalWay(
        "optuna",
        (
            "sweep=optuna", "arm=random_relu", "hydra.sweeper.n_trials=6", "hydra.sweeper.sampler.n_startup_trials=3",
            "search.pruner.n_startup_trials=2", "search.pruner.n_warmup_steps=2", "n_parallel_seeds=2",
        ),
    ),
    LocalWay(
        "climb",
        (
            "sweep=compute", "arm=random_relu,dbn", "hydra.sweeper.times=[1,2]", "hydra.sweeper.rates=[3.0]",
            "hydra.sweeper.decays=[10.0]", "hydra.sweeper.n_tuning_seeds=1", "n_parallel_seeds=2", "training.epochs=5",
        ),
    ),
    LocalWay("up_down", ("arm=dbn", "method=up_down", "method@method.greedy=rbm")),
    LocalWay("dbm", ("start=dbm",)),
    LocalWay("ptt", ("arm=dbn", "sampler=ptt", "sampler.models=3")),
]  # fmt: skip
