"""Hydra sweeper ``successive_halving``: launches the rungs of a search one after another."""

from collections.abc import Callable
from functools import partial

from omegaconf import DictConfig

from hydra_plugins.layerwise_dbn.adaptive import AdaptiveSweeper, Launch


class SuccessiveHalving(AdaptiveSweeper):
    """Tunes each job of a multirun by successive halving, see :mod:`finetune.halving`."""

    def search_of(self, config: DictConfig) -> Callable[[Launch], None] | None:
        """See :class:`AdaptiveSweeper`."""
        from finetune.halving import search
        from finetune.rungs import halving_of

        options = halving_of(config)
        return None if options is None else partial(search, config, options)
