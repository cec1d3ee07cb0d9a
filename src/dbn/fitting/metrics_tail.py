"""The last metrics of a run that may still be at work: the end of its ``metrics.csv``, read without pandas."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

METRICS = "metrics.csv"
TAIL = 16384
"""Bytes read from the end of the file: tens of epochs, also of metrics that are taken every tenth epoch only."""


@dataclass(frozen=True)
class MetricsTail:
    """The end of a ``metrics.csv``.

    Attributes:
        epochs: number of epochs recorded.
        last: last finite value of each metric, in the order of the columns.
        written: when the file was written, in seconds since 1970; None without a file.
    """

    epochs: int = 0
    last: Mapping[str, float] = field(default_factory=dict)
    written: float | None = None


def read_metrics_tail(path: Path) -> MetricsTail:
    """Read the end of a file of metrics; empty where there is none, or it cannot be used."""
    try:
        with path.open("rb") as file:
            head = file.readline().decode()
            start = file.tell()
            size = file.seek(0, 2)
            file.seek(max(start, size - TAIL))
            if size - TAIL > start:
                file.readline()  # the rest of a row
            lines = file.read().decode().splitlines()
        written = path.stat().st_mtime
    except (OSError, UnicodeDecodeError):
        return MetricsTail()
    last: dict[str, float] = {}
    epochs = 0
    names = next(csv.reader([head]), [])
    for row in csv.reader(lines):
        values = dict(zip(names, row, strict=False))
        if not values.get("epoch", "").isdigit():
            continue
        epochs = int(values.pop("epoch")) + 1
        last.update({name: number for name, text in values.items() if (number := _finite(text)) is not None})
    return MetricsTail(epochs, {name: last[name] for name in names if name in last}, written)


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
