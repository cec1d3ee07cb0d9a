"""What an evaluation found: a table for a person, and a file whole or not at all."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from dbn.files import replacing, write_json
from dbn.likelihood.intervals import Estimate

if TYPE_CHECKING:
    from dbn.diagnostics.mixing import Mixing

COLUMNS = ("quantity", "value", "low", "high", "unit", "note")


@dataclass(frozen=True)
class Row:
    """A quantity.

    Attributes:
        name: of the quantity, unique in the table.
        estimate: with its 95 % interval, NaN where there is none.
        unit: such as ``nats``; empty for a number without.
        note: what it says, or how reliable it is.
    """

    name: str
    estimate: Estimate
    unit: str = ""
    note: str = ""

    def numbers(self) -> dict[str, float | None]:
        """Value and limits; None where there are none."""
        found = {"value": self.estimate.value, "low": self.estimate.low, "high": self.estimate.high}
        return {name: value if math.isfinite(value) else None for name, value in found.items()}


@dataclass(frozen=True)
class Evaluation:
    """What was measured of a stack.

    Attributes:
        title: of the table: what was evaluated, and on which data.
        rows: the quantities.
        level: of trust, see :class:`dbn.likelihood.trust.Trust`; of chains ``good`` or ``doubtful``.
        words: how far to trust them, in plain words.
        left_out: what was not measured, and why.
        settings: how it was measured.
        mixing: the chains, where they were measured.
    """

    title: str
    rows: Sequence[Row]
    level: str
    words: str
    left_out: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    mixing: "Mixing | None" = None

    def save(self, path: Path) -> None:
        """Write a JSON or a CSV file, whole or not at all."""
        if path.suffix == ".json":
            quantities = {row.name: {**row.numbers(), "unit": row.unit, "note": row.note} for row in self.rows}
            trust = {"level": self.level, "words": self.words}
            content = {
                "what": self.title, "quantities": quantities, "trust": trust, "left_out": list(self.left_out),
                "settings": dict(self.settings),
            }  # fmt: skip
            write_json(path, content)
            return
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for row in self.rows:
                writer.writerow(
                    [
                        row.name,
                        *("" if value is None else value for value in row.numbers().values()),
                        row.unit,
                        row.note,
                    ]
                )

    def save_figure(self, path: Path) -> None:
        """Draw the chains, see :func:`dbn.use.mixing_figure.write_mixing_figure`."""
        from dbn.use.mixing_figure import write_mixing_figure  # here: matplotlib, which a table has no use for

        assert self.mixing is not None  # the command sees to it
        write_mixing_figure(path, self.mixing, self.title)

    def print(self) -> None:
        """Print the table, and how far to trust it."""
        table = Table(title=self.title)
        for name in ("quantity", "estimate", "95 % interval", "note"):
            table.add_column(name, justify="right" if name in ("estimate", "95 % interval") else "left")
        for row in self.rows:
            value = _number(row.estimate.value)
            table.add_row(row.name, f"{value} {row.unit}".strip() if value else "", _interval(row.estimate), row.note)
        console = Console()
        console.print(table)
        console.print(f"{self.level}: {self.words}", highlight=False, markup=False)
        for reason in self.left_out:
            console.print(f"left out: {reason}", highlight=False, markup=False)


def _number(value: float) -> str:
    if not math.isfinite(value):
        return ""
    if abs(value) < 10:
        return f"{value:.3g}"
    return f"{value:.0f}" if value == round(value) else f"{value:.2f}"


def _interval(estimate: Estimate) -> str:
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return ""
    if estimate.low == estimate.high:
        return "exact"
    return f"{_number(estimate.low) or '-inf'} to {_number(estimate.high) or 'inf'}"
