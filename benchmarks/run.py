"""How fast, beside the machine's own limit and every peer: ``make bench``.

Every subject works in a process of its own. A round measures each of them once, one after the other, so that a machine
whose speed drifts drifts for all; medians over rounds are compared. Writes ``results.json``, ``RESULTS.md`` and
``growth.svg`` here. What is not measured again this time stays as it was if the code that it measured is still the
same; tables of other code, of whatever processor, are dropped.
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from environments import interpreter_for
from results import Table, write_growth, write_results

HERE = Path(__file__).resolve().parent
OURS = (
    "our step, float32", "our step, bf16", "our step, auto", "our public path, float32", "our public path, auto",
)  # fmt: skip
FINE_TUNING = ("our fine-tuning, float32", "our fine-tuning, bf16", "our fine-tuning, auto")
PRODUCTS = ("five products", "five products, faster library")
SHAPES = ((784, 500, 100), (784, 500, 1024), (500, 2000, 100), (64, 100, 10), (64, 100, 100))
"""Visible units, hidden units and batch of the RBMs."""
NETWORK_BATCHES = (100, 1000)
PEERS = ("scikit-learn, float32", "scikit-learn, float64", "rbms", "learnergy")


@dataclass(frozen=True)
class Contest:
    """Subjects that do the same work."""

    title: str
    subjects: tuple[str, ...]
    arguments: dict[str, Any]
    n: dict[str, int]
    """Images per measurement: of each subject, or of ``""`` for those not named."""


def contests(quick: bool, mnist: bool) -> list[Contest]:
    """What is compared."""
    found = []
    for data in ("noise", "mnist") if mnist else ("noise",):
        for n_visible, n_hidden, batch in SHAPES if data == "noise" else SHAPES[:1]:
            n = 60000 if n_visible == 784 else 20000
            title = f"RBM {n_visible} x {n_hidden}, batch {batch}" + (", MNIST" if data == "mnist" else "")
            arguments = {"n_visible": n_visible, "n_hidden": n_hidden, "batch": batch, "data": data}
            sizes = {"": 20000 if n_visible > 64 else 5000, **dict.fromkeys((*OURS, *PRODUCTS), n)}
            found.append(Contest(title, (*PRODUCTS, *OURS, *PEERS), arguments, sizes))
    for batch in NETWORK_BATCHES:
        subjects = ("bare torch loop", *FINE_TUNING, "scikit-learn MLP")
        arguments = {"batch": batch, "data": "noise"}
        found.append(Contest(f"network 784-500-500-2000-10, batch {batch}", subjects, arguments, {"": 20000}))
    subjects = (
        "bare torch loop, convolutions",
        *(f"our fine-tuning of convolutions, {own}" for own in ("float32", "bf16", "auto")),
    )
    arguments = {"batch": 100, "data": "noise"}
    found.append(Contest("convolutional network 24-40-256 on 28x28, batch 100", subjects, arguments, {"": 6000}))
    steps = tuple(f"our step of convolutions, {own}" for own in ("float32", "bf16", "auto"))
    for which, name in (("pixels", "28x28 to 24 maps"), ("maps", "14x14x24 to 40 maps")):
        title = f"convolutional RBM {name}, 5x5, pool 2, batch 100"
        arguments = {"batch": 100, "data": which}
        found.append(Contest(title, ("four convolutions", *steps), arguments, {"": 3000}))
    small = {"n_visible": 64, "n_hidden": 100, "batch": 10, "data": "noise"}
    subjects = ("16 RBMs one after another", "16 RBMs at once")
    found.append(Contest("16 seeds of RBM 64 x 100, batch 10", subjects, small, {"": 1500}))
    subjects = ("16 networks one after another", "16 networks at once")
    found.append(
        Contest("16 seeds of network 64-100-10, batch 10", subjects, {"batch": 10, "data": "noise"}, {"": 1500})
    )
    if quick:
        found = [Contest(c.title, c.subjects, c.arguments, {s: n // 10 for s, n in c.n.items()}) for c in found]
    return found


class Worker:
    """A subject's process.

    Args:
        python: its interpreter.
        subject: which.
        arguments: of the subject.
        threads: how many it may use.
    """

    def __init__(self, python: Path, subject: str, arguments: dict[str, Any], threads: int) -> None:
        self.subject = subject
        self.log = (HERE / ".environments" / "last_worker.log").open("w")
        job = json.dumps({"subject": subject, "arguments": arguments, "threads": threads})
        # BLAS builds switched to another kernel by the environment would compare something else.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
        self.process = subprocess.Popen(
            [str(python), str(HERE / "worker.py"), job], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.log, text=True, env=environment, cwd=HERE,
        )  # fmt: skip

    def answer(self) -> Any:
        """What the process says next."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.subject} failed: see {self.log.name}")
        return json.loads(line)

    def measure(self) -> float:
        """Images per second of one measurement."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return float(self.answer())

    def stop(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        self.log.close()


def measure(contest: Contest, threads: int, rounds: int, pythons: dict[str, Path]) -> dict[str, list[float]]:
    """Images per second of every subject in every round."""
    workers = []
    for subject in contest.subjects:
        python = pythons.get(subject, Path(sys.executable))
        n = contest.n.get(subject, contest.n[""])
        workers.append(Worker(python, subject, {**contest.arguments, "n": n}, threads))
        workers[-1].answer()
    speeds: dict[str, list[float]] = {worker.subject: [] for worker in workers}
    for _ in range(rounds):
        for worker in workers:
            speeds[worker.subject].append(worker.measure())
    for worker in workers:
        worker.stop()
    return speeds


def growth(threads: int, rounds: int, quick: bool) -> dict[str, list[tuple[float, float]]]:
    """Seconds per image and epoch of our public path, against one size at a time."""
    base = {"n_visible": 784, "n_hidden": 500, "batch": 100, "n": 20000, "data": "noise", "epochs": 1}
    if quick:
        base["n"] = 1000
    axes: dict[str, list[dict[str, Any]]] = {
        "hidden units": [{"n_hidden": n} for n in (125, 250, 500, 1000, 2000)],
        "visible units": [{"n_visible": n} for n in (196, 392, 784, 1568)],
        "layers": [{"n_layers": n} for n in (1, 2, 3, 5)],
        "images": [{"n": int(base["n"]) * m // 4} for m in (1, 2, 4, 8)],
        "images in a minibatch": [{"batch": n} for n in (10, 30, 100, 300, 1000)],
        "Gibbs steps k": [{"k": n} for n in (1, 2, 5, 10)],
    }
    curves = {}
    for axis, changes in axes.items():
        points = []
        for change in changes:
            worker = Worker(Path(sys.executable), "our public path, float32", {**base, **change}, threads)
            worker.answer()
            seconds = statistics.median(1 / worker.measure() for _ in range(rounds))
            worker.stop()
            points.append((float(next(iter(change.values()))), seconds))
        curves[axis] = points
    return curves


def save_mnist(file: Path) -> None:
    """MNIST's training images where workers find them: peers' environments do not have this package."""
    from dbn.data import mnist

    np.save(file, mnist().train_images.reshape(60000, -1).numpy())


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each subject (default 5)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads (default 1 2)")
    parser.add_argument(
        "--only", nargs="+", default=[""], help="contests whose title contains one of these, and growth"
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, to see that it runs")
    parser.add_argument("--output", type=Path, default=HERE, help="folder for RESULTS.md and growth.svg")
    options = parser.parse_args()
    (HERE / ".environments").mkdir(exist_ok=True)
    found = contests(options.quick, mnist="DBN_DATA" in os.environ)
    chosen = [contest for contest in found if any(words in contest.title for words in options.only)]
    wanted = {peer for peer in ("rbms", "learnergy") if any(peer in contest.subjects for contest in chosen)}
    pythons = {peer: python for peer in sorted(wanted) if (python := interpreter_for(peer)) is not None}
    absent = wanted - set(pythons)
    if any(contest.arguments["data"] == "mnist" for contest in chosen):
        save_mnist(HERE / ".environments" / "mnist.npy")
    for contest in chosen:
        present = tuple(subject for subject in contest.subjects if subject not in absent)
        contest = Contest(contest.title, present, contest.arguments, contest.n)
        for threads in options.threads:
            speeds = measure(contest, threads, options.rounds, pythons)
            today = datetime.datetime.now().astimezone().strftime("%d %B %Y")
            table = Table.of(f"{contest.title}, {threads} thread{'s' * (threads > 1)}", speeds, today)
            print(table.text, flush=True)
            write_results(options.output, [table], sorted(absent))
    if any(words in "growth" for words in options.only):
        write_growth(options.output, growth(max(options.threads), 3, options.quick))
        write_results(options.output, [], sorted(absent))
    print(f"written: {options.output / 'RESULTS.md'}")


if __name__ == "__main__":
    main()
