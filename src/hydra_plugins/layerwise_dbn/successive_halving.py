"""Hydra sweeper ``successive_halving``: launches the rungs of a search one after another, with any launcher.

Hydra imports this module whenever a command starts, so the search itself is imported when it is used.
"""

from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from omegaconf import OmegaConf


class SuccessiveHalving(BasicSweeper):
    """Tunes each job of a multirun by successive halving, see :mod:`finetune.halving`.

    Args:
        params: overrides of the multirun, as for Hydra's own sweeper.
        halving: settings of :class:`finetune.rungs.Halving`, which are read from the configuration.
    """

    def __init__(self, params: dict[str, str] | None = None, **halving: int) -> None:
        super().__init__(max_batch_size=None, params=params)
        self.n_launched = 0

    def sweep(self, arguments: list[str]) -> Any:
        """Launch all rungs of all jobs; jobs that name their trial, as they are."""
        from finetune.halving import search
        from finetune.rungs import halving_of

        assert self.config is not None
        options = halving_of(self.config)
        if options is None:
            return super().sweep(arguments)
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        search(self.config, options, self.launch)
        return None

    def launch(self, batch: list[list[str]]) -> list[Any]:
        """Run a batch of jobs; returns Hydra's record of each, which raises the error of a failed job when asked."""
        assert self.launcher is not None
        first, self.n_launched = self.n_launched, self.n_launched + len(batch)
        return list(self.launcher.launch(batch, initial_job_idx=first))
