"""What ``precision=auto`` takes: measured facts, one line for each kind of device, work and size.

A line is written from measurements alone, those of ``make precision-table`` on such a machine, and says on which; it
decides for all machines of its kind. What no line covers is float32. Nothing is timed at run time: a resumed run
chooses as it did before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Work = Literal["rbm", "network", "convolutional rbm", "convolution"]
"""Steps of a dense RBM's contrastive divergence, or a network's dense layer in fine-tuning; and convolutional ones."""

AMX = "GenuineIntel, amx_bf16"
INTEL_WITHOUT_AMX = "GenuineIntel, avx512_bf16"
ZEN_4 = "AuthenticAMD family 25, avx512_bf16"
ZEN_5 = "AuthenticAMD family 26, avx512_bf16"
HOPPER = "CUDA 9.0"
"""Kinds of devices, see :func:`dbn.machine.precision.device_kind`."""


@dataclass(frozen=True)
class Line:
    """From ``smallest`` on, up to the next line of the same kind and work, ``auto`` takes ``precision``.

    Attributes:
        kind: of the device.
        work: for which it was measured.
        smallest: multiplications in a product (batch x inputs x outputs of a layer) from which the line holds.
        smallest_batch: images in a minibatch from which it holds: the fewer there are, the more of a step is spent on
            rounding weights and updating them.
        precision: that it takes.
        measured: processor or GPU, shapes, figures, date. Ratios are images a second beside float32's.
        smallest_layer: multiplications for one image from which it holds: a layer of few outputs spends more on
            rounding its inputs than its products take.
    """

    kind: str
    work: Work
    smallest: int
    smallest_batch: int
    precision: str
    measured: str
    smallest_layer: int = 0

    def __str__(self) -> str:
        sizes = f"from {self.smallest} multiplications, {self.smallest_layer} an image and batch {self.smallest_batch}"
        return f"{self.kind}, {self.work}, {sizes}: {self.precision} ({self.measured})"


TABLE = (
    Line(
        AMX, "rbm", 0, 1, "float32",
        "Emerald Rapids, 28 Nov 2026, step, 1 and 2 threads: bf16 0.38 and 0.35 at 64x100 batch 10, 0.55 and 0.56 at "
        "batch 100; 784x500 batch 10 0.82 and 0.95, batch 20 0.94 and 1.01; 200x200 batch 100 0.92 and 0.75, 250x250 "
        "0.99 and 0.93, 500x250 1.20 and 0.97; 500x500 batch 20 0.74 and 0.70, 500x2000 0.84 and 1.02",
    ),
    Line(
        AMX, "rbm", 19_500_000, 50, "bf16",
        "Emerald Rapids, 28 Nov 2026, step, 1 and 2 threads: 784x500 batch 50 1.17 and 1.19, batch 100 1.55 and 1.39, "
        "batch 1024 2.38 and 1.85; 500x500 batch 100 1.50 and 1.26; 500x2000 batch 50 1.23 and 1.20, batch 100 1.76 "
        "and 1.29",
        smallest_layer=500 * 500,
    ),
    Line(
        AMX, "network", 0, 1, "float32",
        "Emerald Rapids, 28 Nov 2026, layer, 1 and 2 threads: bf16 0.29 and 0.31 at 64x100 batch 10, 0.42 and 0.44 at "
        "batch 100; 784x500 batch 10 0.62 and 0.63, batch 20 0.60 and 0.66, batch 50 1.06 and 1.02; 250x250 batch 100 "
        "0.82 and 0.72, 500x250 0.95 and 0.88, 500x500 1.15 and 0.93; 500x2000 batch 20 0.77 and 0.65, batch 50 0.91 "
        "and 0.99; 2000x10 batch 100 0.48 and 0.56, batch 1000 0.69 and 0.84",
    ),
    Line(
        AMX, "network", 39_000_000, 100, "bf16",
        "Emerald Rapids, 28 Nov 2026, layer, 1 and 2 threads: 784x500 batch 100 1.55 and 1.26, batch 1024 3.28 and "
        "2.23; 500x2000 batch 100 1.50 and 1.14, batch 1000 2.48 and 2.36; 500x500 batch 1000 3.06 and 1.86",
        smallest_layer=500 * 500,
    ),
    Line(
        INTEL_WITHOUT_AMX, "rbm", 0, 1, "float32",
        "Emerald Rapids without AMX, 27 Nov 2026, five products, 1 and 2 threads: bf16 0.74 and 0.62 at 784x500 batch "
        "100, 0.51 and 0.62 at batch 1024, 0.56 and 0.63 at 500x2000 batch 100",
    ),
    Line(
        INTEL_WITHOUT_AMX, "network", 0, 1, "float32",
        "Emerald Rapids without AMX, 27 Nov 2026, 784-500-500-2000-10, 2 threads: bf16 0.61 at batch 100, 0.59 at "
        "batch 1000",
    ),
    Line(
        ZEN_4, "rbm", 0, 1, "float32",
        "EPYC family 25 model 17, 28 Nov 2026, step, 1 and 2 threads: bf16 0.37 and 0.57 at 64x100 batch 10, 0.65 and "
        "0.84 at batch 100",
    ),
    Line(
        ZEN_4, "rbm", 3_900_000, 10, "bf16",
        "EPYC family 25 model 17, 28 Nov 2026, step, 1 and 2 threads: 784x500 batch 10 1.12 and 1.41, batch 20 1.24 "
        "and 1.76, batch 50 1.50 and 1.45, batch 100 1.57 and 1.33, batch 1024 1.68 and 1.55; 200x200 batch 100 1.27 "
        "and 1.15, 250x250 1.35 and 1.22, 500x250 1.47 and 1.33; 500x500 batch 20 1.22 and 1.18, batch 100 1.55 and "
        "1.44; 500x2000 batch 20 1.25 and 1.09, batch 50 1.48 and 1.40, batch 100 1.52 and 1.41",
        smallest_layer=200 * 200,
    ),
    Line(
        ZEN_4, "network", 0, 1, "float32",
        "EPYC family 25 model 17, 28 Nov 2026, layer, 1 and 2 threads: bf16 0.32 and 0.40 at 64x100 batch 10, 0.47 and "
        "0.42 at batch 100; 784x500 batch 10 0.96 and 0.88, batch 20 1.17 and 1.00; 200x200 batch 100 1.17 and 0.83, "
        "250x250 1.29 and 0.90; 500x500 batch 20 1.10 and 0.76, 500x2000 1.27 and 0.69; 2000x10 batch 100 0.92 and "
        "0.59, batch 1000 0.89 and 0.71",
    ),
    Line(
        ZEN_4, "network", 12_500_000, 50, "bf16",
        "EPYC family 25 model 17, 28 Nov 2026, layer, 1 and 2 threads: 784x500 batch 50 1.45 and 1.25, batch 100 1.68 "
        "and 1.02, batch 1024 1.79 and 1.59; 500x250 batch 100 1.43 and 0.99; 500x500 batch 100 1.55 and 1.12, batch "
        "1000 1.75 and 1.52; 500x2000 batch 50 1.43 and 1.02, batch 100 1.67 and 1.33, batch 1000 1.79 and 1.74",
        smallest_layer=500 * 250,
    ),
    Line(
        ZEN_4, "convolutional rbm", 7_000_000, 20, "bf16",
        "EPYC family 25 model 17, 28 Nov 2026, step, 1 thread: bf16 1.00 to 1.03 below; 4x4x24 to 40 maps 5x5 batch 20 "
        "1.07, batch 100 1.13; 9x9x40 to 60 maps 4x4 batch 100 1.49; 14x14x24 to 40 maps 5x5 batch 20 1.64, batch 100 "
        "1.63; 28x28 to 40 maps 11x11 batch 100 1.07, batch 500 1.13",
    ),
    Line(
        ZEN_4, "convolution", 7_000_000, 20, "bf16",
        "EPYC family 25 model 17, 28 Nov 2026, layer, 1 thread: bf16 0.94 to 1.01 below; 4x4x24 to 40 maps 5x5 batch "
        "20 1.06, batch 100 1.19; 28x28 to 24 maps 5x5 batch 100 1.11; 14x14x24 to 40 maps 5x5 batch 20 1.78, batch "
        "100 1.78, batch 500 1.85; 14x14x64 to 64 maps 3x3 batch 100 1.83",
    ),
    Line(
        ZEN_5, "rbm", 0, 1, "float32",
        "EPYC family 26 model 2, 26 Nov 2026: bf16 a third to half slower at 0.6 million, even at 4 million",
    ),
    Line(
        ZEN_5, "rbm", 5_000_000, 100, "bf16",
        "EPYC family 26 model 2, 26 Nov 2026, step, 1 and 2 threads: 784x500 batch 100 1.50 and 1.42, batch 1024 1.57 "
        "and 1.48, 500x2000 batch 100 1.42 and 1.35; even at 4 million, a third faster at 25 million",
    ),
    Line(
        ZEN_5, "network", 0, 1, "float32",
        "EPYC family 26 model 2, 26 Nov 2026: layers are even at 4 to 7 million",
    ),
    Line(
        ZEN_5, "network", 7_000_000, 100, "bf16",
        "EPYC family 26 model 2, 26 Nov 2026, 784-500-500-2000-10, 1 and 2 threads: batch 100 1.21 and 1.12, batch "
        "1000 1.58 and 1.46",
    ),
    Line(
        HOPPER, "rbm", 0, 1, "float32",
        "H200, 27 Nov 2026, recorded steps: bf16 0.97 to 1.23 at 784x500 batch 100, 0.67 at batch 1024, 0.93 at batch "
        "4096, 0.80 at 500x2000 batch 100",
    ),
    Line(
        HOPPER, "rbm", 68_719_476_736, 4096, "bf16",
        "H200, 27 Nov 2026, recorded steps: 4096x4096 batch 4096 17 (4.5 M images a second, float32 0.27 M)",
    ),
    # TF32 has been measured on no GPU yet: a line with precision "tf32" belongs here, for "rbm" and for "network", once
    # `python benchmarks/precision_rows.py --device cuda` has said from which size it is faster.
)  # fmt: skip


def line_for(kind: str, work: Work, product: int, batch: int, table: Sequence[Line] = TABLE) -> Line | None:
    """The line that decides, of those that hold the one of the largest product; None if there is none.

    Args:
        kind: of the device.
        work: what is trained.
        product: multiplications in one of the layer's matrix products: batch x inputs x outputs.
        batch: images in a minibatch.
        table: the lines.
    """
    lines = [
        line
        for line in table
        if line.kind == kind and line.work == work and line.smallest <= product and line.smallest_batch <= batch
        if line.smallest_layer <= product // batch
    ]
    return max(lines, key=lambda line: line.smallest, default=None)
