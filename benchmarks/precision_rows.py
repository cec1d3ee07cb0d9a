"""What ``dbn.machine.precision_table`` rests on: ``make precision-table``, float32 beside bf16, size by size.

Measures every shape of ``run.py`` and sizes between, prints a row for each, says where the table's choice is more than
3 % slower than the other, and from which size on the other precision was the faster one throughout. Writes nothing:
lines of the table are written by hand. With ``--device cuda`` whole fits are measured, bf16 and tf32.
"""

import argparse
import datetime
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from results import TOLERANCE
from run import NETWORK_BATCHES, SHAPES
from subjects import NETWORK, SUBJECTS

from dbn.machine.precision import device_kind
from dbn.machine.precision_table import Work, line_for
from dbn.machine.processor import processor_name

SHAPES_BETWEEN = (
    (784, 500, 10), (784, 500, 20), (200, 200, 100), (250, 250, 100), (500, 250, 100), (500, 500, 20), (500, 500, 100),
    (784, 500, 50), (500, 2000, 20), (500, 2000, 50),
)  # fmt: skip
LAYERS = (*SHAPES, *SHAPES_BETWEEN, (500, 500, 1000), (500, 2000, 1000), (2000, 10, 100), (2000, 10, 1000))
GPU_PRECISIONS = ("float32", "bf16", "tf32")
ON_GPU = ((784, 500, 100), (784, 500, 1024), (784, 500, 4096), (500, 2000, 100), (2048, 2048, 2048), (4096, 4096, 4096))


@dataclass(frozen=True)
class Row:
    """Images per second, best of the rounds, of one shape in every precision.

    Attributes:
        work: of the table.
        shape: in words.
        product: multiplications in the (largest) product.
        batch: images in a minibatch.
        threads: number of threads.
        speeds: by precision.
        taken: precision that the table takes for the product; None for a network, whose layers differ.
    """

    work: Work
    shape: str
    product: int
    batch: int
    threads: int
    speeds: dict[str, float]
    taken: str | None

    @property
    def is_right(self) -> bool:
        """Whether what the table takes is at most 3 % slower than the fastest."""
        own = self.speeds[self.taken or "auto"]
        return own >= (1 - TOLERANCE) * max(self.speeds.values())

    @property
    def text(self) -> str:
        """In Markdown."""
        cells = [f"{self.speeds[p]:.0f}" for p in self.speeds]
        ratios = [f"{p} {speed / self.speeds['float32']:.2f}" for p, speed in self.speeds.items() if p != "float32"]
        took = self.taken or f"layer by layer, {self.speeds['auto'] / self.speeds['float32']:.2f}"
        words = [self.work, self.shape, f"{self.product / 1e6:.3g}", str(self.threads), " / ".join(cells)]
        return f"| {' | '.join([*words, ', '.join(ratios), took, 'yes' if self.is_right else 'NO'])} |"


HEAD = (
    "| work | shape | million | threads | {} images/s | / float32 | table takes | within 3 % |",
    "|---|---|---:|---:|---|---|---|---|",
)


def row(
    work: Work, shape: str, product: int, subject: str, arguments: dict[str, Any], precisions: Sequence[str],
    rounds: int, kind: str,
) -> Row:  # fmt: skip
    """Measure one shape after a warm-up, all precisions in turn in each round; prints the row."""
    works = {precision: SUBJECTS[f"{subject}, {precision}"](**arguments) for precision in precisions}
    speeds = dict.fromkeys(works, 0.0)
    for own in works.values():
        own()
    for _ in range(rounds):
        for precision, own in works.items():
            start = time.perf_counter()
            images = own()
            speeds[precision] = max(speeds[precision], images / (time.perf_counter() - start))
    line = line_for(kind, work, product, arguments["batch"])
    taken = None if "auto" in precisions else "float32" if line is None else line.precision
    measured = Row(work, shape, product, arguments["batch"], torch.get_num_threads(), speeds, taken)
    print(measured.text, flush=True)
    return measured


def rows_on_cpu(rounds: int, seconds: float, kind: str) -> list[Row]:
    """Steps of RBMs, passes through layers, and fits of the benchmark's network."""
    found = []
    kinds: tuple[tuple[Work, str, Any], ...] = (
        ("rbm", "our step", (*SHAPES, *SHAPES_BETWEEN)),
        ("network", "our layer", LAYERS),
    )
    for work, subject, shapes in kinds:
        for n_visible, n_hidden, batch in shapes:
            product = batch * n_visible * n_hidden
            n_steps = max(5, int(seconds * min(1.5e10 / product, 5000)))  # five products each, about 150 GFLOP/s
            arguments = {"n_visible": n_visible, "n_hidden": n_hidden, "batch": batch, "data": "noise"}
            arguments["n"] = n_steps * batch
            shape = f"{n_visible} x {n_hidden}, batch {batch}"
            found.append(row(work, shape, product, subject, arguments, ("float32", "bf16"), rounds, kind))
    for batch in NETWORK_BATCHES:
        arguments = {"batch": batch, "data": "noise", "n": max(3, int(seconds * 10)) * 1000}
        precisions = ("float32", "bf16", "auto")
        found.append(network_row(batch, arguments, precisions, rounds, kind))
    return found


def rows_on_gpu(rounds: int, seconds: float, kind: str) -> list[Row]:
    """Fits of RBMs and of the benchmark's network, so long that starting up is a small part of them."""
    found = []
    for n_visible, n_hidden, batch in ON_GPU:
        product, n = batch * n_visible * n_hidden, max(60_000 // batch, 5) * batch
        epochs = max(2, int(seconds * min(7e5, 1e12 * batch / product) / n))  # images a second, at least
        arguments = {"n_visible": n_visible, "n_hidden": n_hidden, "batch": batch, "data": "noise", "n": n}
        arguments |= {"epochs": epochs, "accelerator": "gpu"}
        shape = f"{n_visible} x {n_hidden}, batch {batch}"
        found.append(row("rbm", shape, product, "our public path", arguments, GPU_PRECISIONS, rounds, kind))
    for batch in NETWORK_BATCHES:
        epochs = max(2, int(seconds * 400 * batch / 60_000))  # 400 steps a second
        arguments = {"batch": batch, "data": "noise", "n": 60_000, "accelerator": "gpu", "epochs": epochs}
        found.append(network_row(batch, arguments, (*GPU_PRECISIONS, "auto"), rounds, kind))
    return found


def network_row(batch: int, arguments: dict[str, Any], precisions: Sequence[str], rounds: int, kind: str) -> Row:
    """A row of the benchmark's network, whose layers have products of different sizes."""
    product = batch * max(above * below for above, below in pairwise(NETWORK))
    shape = f"{'-'.join(map(str, NETWORK))}, batch {batch}"
    return row("network", shape, product, "our fine-tuning", arguments, precisions, rounds, kind)


def faster_from(rows: list[Row], precision: str, batch: int) -> str:
    """Smallest product from which on ``precision`` was the faster one in all rows of at least ``batch`` images."""
    rows = [row for row in rows if row.batch >= batch]
    slower = [row.product for row in rows if row.speeds[precision] < row.speeds["float32"]]
    beyond = [row.product for row in rows if row.product > max(slower, default=0)]
    found = f"faster than float32 from {min(beyond)} multiplications on" if beyond else "not faster from any size on"
    return f"{precision} at batch {batch} and more: {found}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each precision (default 5)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads (default 1 2)")
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long a measurement takes (default 1)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options = parser.parse_args()
    kind = device_kind(torch.device(options.device))
    name = processor_name() if options.device == "cpu" else torch.cuda.get_device_name()
    today = datetime.datetime.now().astimezone().strftime("%d %b %Y")
    print(f"{name} ({kind}), {today}, torch {torch.__version__}, best of {options.rounds} rounds\n")
    precisions = ("float32", "bf16") if options.device == "cpu" else GPU_PRECISIONS
    print("\n".join(HEAD).format(" / ".join(precisions)))
    found: list[Row] = []
    if options.device == "cpu":
        for threads in options.threads:
            torch.set_num_threads(threads)
            found += rows_on_cpu(options.rounds, options.seconds, kind)
    else:
        found = rows_on_gpu(options.rounds, options.seconds, kind)
    print()
    for work in ("rbm", "network"):
        own = [row for row in found if row.work == work]
        for precision in precisions[1:]:
            for batch in sorted({row.batch for row in own}):
                print(f"{work}, {faster_from(own, precision, batch)}")
    wrong = [row for row in found if not row.is_right]
    print(f"{len(found)} rows; the table chose wrong in {len(wrong)}.")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
