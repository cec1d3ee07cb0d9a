"""The file ``metrics.csv`` of a run, one row per epoch."""

import csv
import io
import time
from abc import abstractmethod
from argparse import Namespace
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger

from dbn.files import write_text


class FileLogger(Logger):
    """Members that Lightning requires of a logger."""

    @property
    def name(self) -> str:
        """Required by Lightning."""
        return "metrics"

    @property
    def version(self) -> str:
        """Required by Lightning."""
        return ""

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the configuration is in ``.hydra``."""

    @abstractmethod
    def flush(self) -> None:
        """Write what has been logged."""


class MetricsFile(FileLogger):
    """Writes one row per epoch to ``metrics.csv``, atomically, at most once a second and at the end.

    Resumed training keeps the rows of earlier epochs and overwrites those of epochs it repeats, so that the file equals
    that of uninterrupted training. (Lightning's CSVLogger deletes existing rows.)

    Args:
        path: the file.
        first_epoch: number of this fit's first epoch, if several fits share the file.
    """

    def __init__(self, path: Path, first_epoch: int = 0) -> None:
        super().__init__()
        self.path = path
        self.first_epoch = first_epoch
        self.written = 0.0
        self.rows: dict[int, dict[str, str]] = {}
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                self.rows = {int(row["epoch"]): {k: v for k, v in row.items() if v} for row in csv.DictReader(file)}

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Merge metrics into the row of their epoch; write the file unless it was written within the last second."""
        self.merge(metrics)
        if time.monotonic() - self.written > 1.0:
            self.flush()

    def merge(self, metrics: Mapping[str, float]) -> None:
        """Merge metrics into the row of their epoch, without writing."""
        epoch = int(metrics["epoch"]) + self.first_epoch
        row = self.rows.setdefault(epoch, {"epoch": str(epoch)})
        row.update({name: repr(float(value)) for name, value in metrics.items() if name != "epoch"})

    def flush(self) -> None:
        """Write the file."""
        names = sorted({name for row in self.rows.values() for name in row} - {"epoch"})
        text = io.StringIO()
        writer = csv.DictWriter(text, ["epoch", *names], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows[number] for number in sorted(self.rows))
        write_text(self.path, text.getvalue())
        self.written = time.monotonic()

    def finalize(self, status: str) -> None:
        """Write the file; called by Lightning at the end of a fit, also after an error."""
        if self.rows:
            self.flush()


class MetricsFiles(FileLogger):
    """The files ``metrics.csv`` of runs that train together.

    Args:
        files: one for each member.
    """

    def __init__(self, files: Sequence[MetricsFile]) -> None:
        super().__init__()
        self.files = files
        self.written = time.monotonic()

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Do nothing: see :meth:`log_members`."""

    def log_members(self, rows: Sequence[Mapping[str, float]], epoch: int, finished: Collection[int] = ()) -> None:
        """Merge each member's metrics into its row of ``epoch``; write at most every ``len(files)`` seconds.

        Args:
            rows: metrics of each member.
            epoch: its number in this fit.
            finished: numbers of members that have no such epoch.
        """
        for number, (file, row) in enumerate(zip(self.files, rows, strict=True)):
            if number not in finished:
                file.merge({**row, "epoch": epoch})
        if time.monotonic() - self.written > len(self.files):
            self.flush()

    def flush(self) -> None:
        """Write every file."""
        for file in self.files:
            file.flush()
        self.written = time.monotonic()

    def finalize(self, status: str) -> None:
        """Write every file; called by Lightning at the end of a fit, also after an error."""
        for file in self.files:
            file.finalize(status)
