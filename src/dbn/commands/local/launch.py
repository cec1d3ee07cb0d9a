"""Launches a batch of jobs on the workers of one machine, with a bar for the whole."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dbn.commands.local.pool import Pool
from dbn.commands.local.shares import own_cores, own_gpus, shares_of
from dbn.errors import WorkerError
from dbn.settings import check_number, optional

log = logging.getLogger(__name__)

LOGS = "local"
"""Folder of the workers' logs in that of the multirun."""


def launch_jobs(
    jobs: Sequence[tuple[Any, ...]], config: DictConfig, n_workers: int | None, folder: Path
) -> list[JobReturn]:
    """Run a batch of jobs.

    Args:
        jobs: number, overrides, Hydra's context, task and configuration of each.
        config: of the multirun, with Hydra's own.
        n_workers: number of workers; None: one for each GPU, or without GPUs for each core.
        folder: of the multirun.

    Returns:
        Hydra's record of each job, which raises its error if it failed.

    Raises:
        SettingError: the number of workers is invalid.
    """
    setup_globals()
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    optional(lambda key, value: check_number(key, value, low=1, whole=True))("hydra.launcher.workers", n_workers)
    accelerator = str(config.trainer.accelerator) if "trainer" in config else "cpu"
    shares = shares_of(n_workers, own_cores(), own_gpus(accelerator))[: len(jobs)]
    logs = folder / LOGS
    logs.mkdir(parents=True, exist_ok=True)
    log.info("%d jobs on %d workers; what they print is in %s", len(jobs), len(shares), logs)
    for number, overrides, *_ in jobs:
        log.info("\t#%d : %s", number, " ".join(filter_overrides(overrides)))
    singletons = Singleton.get_state()
    records: list[JobReturn | None] = [None] * len(jobs)
    pool = Pool(shares, logs)
    try:
        with Bar(len(jobs), shown=bool(config.get("progress", True))) as bar:

            def done(place: int, answer: JobReturn | WorkerError) -> None:
                number, overrides, *_ = jobs[place]
                if isinstance(answer, WorkerError):
                    error = WorkerError(f"#{number}: {answer}; see {logs}. The same command does what is missing.")
                    answer = JobReturn(overrides=overrides, status=JobStatus.FAILED, _return_value=error)
                records[place] = answer
                bar.advance(number, failed=answer.status == JobStatus.FAILED)

            pool.run([(*job, singletons) for job in jobs], done)
    finally:
        pool.close()
    return [record for record in records if record is not None]


class Bar:
    """Progress over the jobs of a batch: a live bar on a terminal, otherwise a line for each job.

    Args:
        n_jobs: number of jobs.
        shown: whether anything is shown.
    """

    def __init__(self, n_jobs: int, *, shown: bool) -> None:
        console = Console(file=sys.stderr)
        self.n_jobs, self.n_done, self.n_failed, self.shown = n_jobs, 0, 0, shown
        self.live = shown and console.is_terminal
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self.progress = Progress(*columns, console=console, disable=not self.live)
        self.task = self.progress.add_task("jobs", total=n_jobs)

    def __enter__(self) -> "Bar":
        """Show it."""
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Leave it as it stands."""
        self.progress.stop()

    def advance(self, number: int, *, failed: bool) -> None:
        """Job ``number`` has ended."""
        self.n_done += 1
        self.n_failed += failed
        what = f"jobs, {self.n_failed} failed" if self.n_failed else "jobs"
        self.progress.update(self.task, completed=self.n_done, description=what)
        if self.shown and not self.live:
            log.info("#%d %s, %d of %d", number, "failed" if failed else "done", self.n_done, self.n_jobs)
