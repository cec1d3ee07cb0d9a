"""Tracking of runs: metrics in a CSV file, and optionally in Weights & Biases."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning.loggers import Logger

from dbn.fitting.metrics_file import MetricsFile, MetricsFiles
from dbn.fitting.metrics_tail import METRICS
from dbn.fitting.ranks import is_first
from dbn.runs.wandb_agent import agent_run, check_one_run, outside_sweep
from dbn.runs.wandb_identity import identity_of, note_of_report, runs_of
from dbn.runs.wandb_points import WandbPoints
from dbn.runs.wandb_run import open_run
from dbn.runs.wandb_settings import (
    LONGEST_NAME,
    LONGEST_TAG,
    check_login,
    check_wandb,
    short,
    tags_of,
)

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Column names and rows."""


class Tracker:
    """Loggers of a run, and logging of pictures and reports to Weights & Biases.

    Args:
        directory: of the run.
        wandb_run: the open Weights & Biases run, or None.
    """

    def __init__(self, directory: Path, wandb_run: Any | None = None) -> None:
        self.directory = directory
        self.wandb_run = wandb_run

    def loggers(self, first_epoch: int = 0) -> list[Logger]:
        """Loggers for one fit, whose first epoch is number ``first_epoch`` of the run."""
        loggers: list[Logger] = [MetricsFile(self.directory / METRICS, first_epoch)]
        if self.wandb_run is not None:
            loggers.append(WandbPoints(self.wandb_run, first_epoch))
        return loggers

    def rows(self) -> list[dict[str, float]]:
        """The rows of ``metrics.csv``, one per epoch."""
        rows = MetricsFile(self.directory / METRICS).rows
        return [{name: float(value) for name, value in row.items()} for _, row in sorted(rows.items())]

    def last_metrics(self) -> dict[str, float]:
        """The last value of every metric in ``metrics.csv``."""
        return {name: value for row in self.rows() for name, value in row.items() if name != "epoch"}

    def replay(self) -> None:
        """Log the rows of ``metrics.csv`` to Weights & Biases, after training together with other runs."""
        if self.wandb_run is not None:
            points = WandbPoints(self.wandb_run)
            for row in self.rows():
                points.log_metrics(row)
            points.flush()

    def log_pictures(self, pictures: Mapping[str, np.ndarray]) -> None:
        """Log named pictures, each ``(height, width)`` or ``(height, width, 3)`` in [0, 1]."""
        if self.wandb_run is not None:
            import wandb

            self.wandb_run.log(
                {name: wandb.Image((picture * 255).astype(np.uint8)) for name, picture in pictures.items()}
            )

    def log_report(self, page: Path, tables: Mapping[str, Table], figures: Mapping[str, str]) -> None:
        """Log a study's page, its tables (column names and rows of texts), its figures (SVG or HTML) and its runs."""
        if self.wandb_run is not None:
            import wandb

            entries: dict[str, Any] = {"report": wandb.Html(page.read_text(encoding="utf-8"), inject=False)}
            tables = {**tables, "runs": (("job type", "run", "id"), runs_of(self.directory))}
            for title, (heads, rows) in tables.items():
                entries[f"tables/{title}"] = wandb.Table(columns=list(heads), data=[list(row) for row in rows])
            entries |= {f"figures/{title}": wandb.Html(figure, inject=False) for title, figure in figures.items()}
            self.wandb_run.log(entries)

    def log_summary(self, metrics: Mapping[str, float]) -> None:
        """Log a run's final metrics."""
        if self.wandb_run is not None:
            self.wandb_run.summary.update(dict(metrics))


def loggers_of(trackers: Sequence[Tracker | None], first_epochs: Sequence[int] | None = None) -> list[Logger]:
    """Loggers for one fit of one run, or of several runs that train together.

    Args:
        trackers: of each run, or None.
        first_epochs: number of the fit's first epoch in each run; None: 0.
    """
    firsts = [0] * len(trackers) if first_epochs is None else first_epochs
    present = [(own, first) for own, first in zip(trackers, firsts, strict=True) if own is not None and is_first()]
    if len(trackers) == 1:
        return [logger for own, first in present for logger in own.loggers(first)]
    files = [MetricsFile(own.directory / METRICS, first) for own, first in present]
    return [MetricsFiles(files)] if files else []


@contextmanager
def tracking(
    directory: Path,
    settings: Mapping[str, Any] | None,
    *,
    study: str,
    stage: str,
    name: str,
    tags: list[str],
    config: Mapping[str, Any],
    folder: Path | None = None,
) -> Iterator[Tracker]:
    """Track a run while the block lasts.

    Args:
        directory: of the run.
        settings: ``logger.wandb``: project, entity, tags, mode; None for the CSV file only.
        study: group in Weights & Biases.
        stage: job type in Weights & Biases.
        name: display name.
        tags: tags of the run.
        config: resolved configuration.
        folder: of the study, whose report the run's notes name; None for the report itself.

    Yields:
        The tracker. A resumed run continues under the id in its directory.

    Raises:
        SettingError, TrackingError: Weights & Biases cannot be used as configured. A service that does not answer is no
            error: see :mod:`dbn.runs.wandb_run`.
    """
    if settings is None:
        yield Tracker(directory)
        return
    check_wandb("logger.wandb", settings)
    own_tags = tags_of("logger.wandb.tags", settings.get("tags", []))
    described = {
        "project": settings.get("project", "dbn"),
        "entity": settings.get("entity"),
        "id": identity_of(directory, agent_run(stage)),
        "group": short(study, LONGEST_NAME),
        "job_type": stage,
        "name": short(name, LONGEST_NAME),
        "tags": list(dict.fromkeys([*(short(tag, LONGEST_TAG) for tag in tags), *own_tags])),
        "config": dict(config),
    }
    if folder is not None:
        described["notes"] = note_of_report(folder)
    with outside_sweep(stage), open_run(directory, settings, **described) as run:
        if folder is not None and not run.offline and run.url:
            run.notes = note_of_report(folder, run.url)
        yield Tracker(directory, run)


class Tracking:
    """Trackers of runs that train together: a single run is tracked during training, several ones afterwards.

    A process can have one open run in Weights & Biases; ``metrics.csv`` is always written during training.

    Args:
        openers: open the tracking of each run, see :func:`tracking`.
        directories: of the runs.
        settings: ``logger.wandb``, or None.

    Attributes:
        trackers: trackers to use during training.
    """

    def __init__(
        self,
        openers: Sequence[Callable[[], AbstractContextManager[Tracker]]],
        directories: Sequence[Path],
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.openers = openers
        self.trackers = [Tracker(directory) for directory in directories]
        self.settings = settings
        self.open = ExitStack()

    def __enter__(self) -> "Tracking":
        """Open the tracking of a single run; for several runs, check the login now.

        Raises:
            TrackingError: Weights & Biases cannot be used.
        """
        if len(self.openers) > 1 and self.settings is not None and is_first():
            check_one_run(len(self.openers))
            check_login(self.settings)
        if len(self.openers) == 1 and is_first():
            self.trackers = [self.open.enter_context(self.openers[0]())]
        return self

    def __exit__(self, *error: Any) -> None:
        """Close the tracking."""
        self.open.__exit__(*error)

    @contextmanager
    def after(self, number: int) -> Iterator[Tracker]:
        """The tracker of run ``number`` for results after training."""
        if len(self.openers) == 1:
            yield self.trackers[0]
            return
        with self.openers[number]() as tracker:
            tracker.replay()
            yield tracker
