"""Where metrics go: a CSV file always, Weights & Biases when asked for."""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning.loggers import Logger, WandbLogger

from dbn.files import write_text
from dbn.fitting.metrics_file import METRICS, MetricsFile, MetricsFiles
from dbn.fitting.processes import is_first
from dbn.runs.wandb_settings import (
    LONGEST_NAME,
    LONGEST_TAG,
    check_login,
    check_wandb,
    short,
    tags_of,
    translated_errors,
)

WANDB_ID = "wandb_id"
Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Heads and rows."""


class Tracker:
    """A run's loggers, and pictures for those that show them.

    Args:
        directory: the run's.
        wandb_run: the open Weights & Biases run, or None.
    """

    def __init__(self, directory: Path, wandb_run: Any | None = None) -> None:
        self.directory = directory
        self.wandb_run = wandb_run

    def loggers(self, first_epoch: int = 0) -> list[Logger]:
        """Loggers for one fit, whose first epoch has that number in the run."""
        loggers: list[Logger] = [MetricsFile(self.directory / METRICS, first_epoch)]
        if self.wandb_run is not None:
            loggers.append(WandbLogger(experiment=self.wandb_run))
        return loggers

    def rows(self) -> list[dict[str, float]]:
        """The rows of ``metrics.csv``, an epoch each."""
        rows = MetricsFile(self.directory / METRICS).rows
        return [{name: float(value) for name, value in row.items()} for _, row in sorted(rows.items())]

    def last_metrics(self) -> dict[str, float]:
        """The last value of every metric in ``metrics.csv``."""
        return {name: value for row in self.rows() for name, value in row.items() if name != "epoch"}

    def replay(self) -> None:
        """Show what ``metrics.csv`` holds: for a run that trained together with others, once that is over."""
        if self.wandb_run is not None:
            for row in self.rows():
                self.wandb_run.log(row)

    def log_pictures(self, pictures: Mapping[str, np.ndarray]) -> None:
        """Show named pictures, each ``(height, width)`` or ``(height, width, 3)`` in [0, 1]."""
        if self.wandb_run is not None:
            import wandb

            self.wandb_run.log(
                {name: wandb.Image((picture * 255).astype(np.uint8)) for name, picture in pictures.items()}
            )

    def log_report(self, page: Path, tables: Mapping[str, Table], figures: Mapping[str, str]) -> None:
        """Show a study's page, its tables (heads and rows of texts) and its figures (SVG or HTML)."""
        if self.wandb_run is not None:
            import wandb

            shown: dict[str, Any] = {"report": wandb.Html(page.read_text(encoding="utf-8"), inject=False)}
            for title, (heads, rows) in tables.items():
                shown[f"tables/{title}"] = wandb.Table(columns=list(heads), data=[list(row) for row in rows])
            shown |= {f"figures/{title}": wandb.Html(figure, inject=False) for title, figure in figures.items()}
            self.wandb_run.log(shown)

    def log_summary(self, metrics: Mapping[str, float]) -> None:
        """Keep a run's final figures."""
        if self.wandb_run is not None:
            self.wandb_run.summary.update(dict(metrics))


def loggers_of(trackers: Sequence[Tracker | None], first_epoch: int = 0) -> list[Logger]:
    """Loggers for one fit of runs that train together, or of one run."""
    present = [tracker for tracker in trackers if tracker is not None and is_first()]
    if len(trackers) == 1:
        return present[0].loggers(first_epoch) if present else []
    files = [MetricsFile(tracker.directory / METRICS, first_epoch) for tracker in present]
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
) -> Iterator[Tracker]:
    """Track a run while the block lasts.

    Args:
        directory: the run's.
        settings: ``logger.wandb``: project, entity, tags, mode; None for the CSV file only.
        study: group in Weights & Biases.
        stage: job type.
        name: display name.
        tags: what to find the run by.
        config: resolved configuration.

    Yields:
        The tracker. An interrupted run goes on under the id that is kept in its directory.

    Raises:
        SettingError, TrackingError: Weights & Biases cannot be used as asked for.
    """
    if settings is None:
        yield Tracker(directory)
        return
    import wandb

    check_wandb("logger.wandb", settings)
    id_file = directory / WANDB_ID
    if not id_file.is_file():
        write_text(id_file, uuid.uuid4().hex[:12])
    own_tags = tags_of("logger.wandb.tags", settings.get("tags", []))
    with translated_errors(settings):
        run = wandb.init(
            project=settings.get("project", "dbn"),
            entity=settings.get("entity"),
            mode=settings.get("mode"),  # None leaves it to WANDB_MODE
            id=id_file.read_text().strip(),
            resume="allow",
            dir=str(directory),
            group=short(study, LONGEST_NAME),
            job_type=stage,
            name=short(name, LONGEST_NAME),
            tags=list(dict.fromkeys([*(short(tag, LONGEST_TAG) for tag in tags), *own_tags])),
            config=dict(config),
            settings=wandb.Settings(silent=True, x_disable_stats=True),  # the statistics process outlives a killed job
        )
    failed = True
    try:
        yield Tracker(directory, run)
        failed = False
    finally:
        run.finish(exit_code=int(failed))


class Tracking:
    """Trackers of runs that train together: one run is tracked all the time, several once their training is over.

    Weights & Biases holds one run open at a time; ``metrics.csv`` is written in any case.

    Args:
        openers: open each run's tracking, see :func:`tracking`.
        directories: of the runs.
        settings: ``logger.wandb``, or None.

    Attributes:
        trackers: while the runs train.
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
        """Open the tracking of a run that trains alone; of several, see that it can be opened later.

        Raises:
            TrackingError: it cannot.
        """
        if len(self.openers) > 1 and self.settings is not None and is_first():
            check_login(self.settings)
        if len(self.openers) == 1 and is_first():
            self.trackers = [self.open.enter_context(self.openers[0]())]
        return self

    def __exit__(self, *error: Any) -> None:
        """Close it."""
        self.open.__exit__(*error)

    @contextmanager
    def after(self, number: int) -> Iterator[Tracker]:
        """The tracker of run ``number`` for what comes after training."""
        if len(self.openers) == 1:
            yield self.trackers[0]
            return
        with self.openers[number]() as tracker:
            tracker.replay()
            yield tracker
