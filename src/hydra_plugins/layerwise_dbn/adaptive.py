"""Base class of the package's Hydra sweepers, which launch a batch of jobs, read its results and decide on the next.

Hydra imports every module here whenever a command starts, so what a sweeper does is imported when it is used.
"""

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from omegaconf import DictConfig, OmegaConf

Launch = Callable[[list[list[str]]], list[Any]]
"""Runs jobs, given by their overrides; returns Hydra's record of each, which raises the error of a failed job."""


class AdaptiveSweeper(BasicSweeper):
    """Launches batches with any launcher; where a command names its trial, it is Hydra's own sweeper.

    Args:
        params: overrides of the multirun, as for Hydra's own sweeper.
        options: settings of the sweeper, which are read from the configuration.
    """

    def __init__(self, params: dict[str, str] | None = None, **options: Any) -> None:
        super().__init__(max_batch_size=None, params=params)
        self.n_launched = 0

    @abstractmethod
    def search_of(self, config: DictConfig) -> Callable[[Launch], None] | None:
        """What to do with a launcher of batches; None: the jobs of the multirun as they are."""

    def sweep(self, arguments: list[str]) -> Any:
        """Launch all batches."""
        assert self.config is not None
        search = self.search_of(self.config)
        if search is None:
            return super().sweep(arguments)
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        search(self.launch)
        return None

    def launch(self, batch: list[list[str]]) -> list[Any]:
        """Run a batch of jobs; returns Hydra's record of each."""
        assert self.launcher is not None
        first, self.n_launched = self.n_launched, self.n_launched + len(batch)
        return list(self.launcher.launch(batch, initial_job_idx=first)) if batch else []
