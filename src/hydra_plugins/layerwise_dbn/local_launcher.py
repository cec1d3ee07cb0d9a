"""Hydra launcher ``local``: jobs of a multirun side by side on the cores or GPUs of one machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

# Hydra imports every module here whenever a command starts, so what is used only at launch is imported there.


class LocalLauncher(Launcher):
    """Runs jobs in worker processes, see :mod:`dbn.commands.local`.

    Args:
        workers: number of processes; None: one for each GPU, or without GPUs for each core.
    """

    def __init__(self, workers: int | None = None) -> None:
        super().__init__()
        self.n_workers = workers
        self.config: DictConfig | None = None
        self.task: TaskFunction | None = None
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what jobs are made of."""
        self.config, self.task, self.hydra_context = config, task_function, hydra_context

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run a batch of jobs; returns Hydra's record of each, which raises the error of a failed job."""
        from dbn.commands.local.launch import launch_jobs

        assert self.config is not None
        jobs: list[Any] = [
            (initial_job_idx + k, list(overrides), self.hydra_context, self.task, self.config)
            for k, overrides in enumerate(job_overrides)
        ]
        return launch_jobs(jobs, self.config, self.n_workers, Path(str(self.config.hydra.sweep.dir)))
