"""Hydra sweeper ``optuna_search``: asks Optuna for the settings of each job of a multirun, trial by trial."""

from collections.abc import Callable
from functools import partial

from omegaconf import DictConfig

from hydra_plugins.layerwise_dbn.adaptive import AdaptiveSweeper, Launch


class OptunaSearch(AdaptiveSweeper):
    """Tunes each job of a multirun with Optuna, see :mod:`finetune.optuna_search`."""

    def search_of(self, config: DictConfig) -> Callable[[Launch], None] | None:
        """See :class:`AdaptiveSweeper`."""
        from finetune.optuna_trials import optuna_of

        options = optuna_of(config)
        if options is None:
            return None
        from finetune.optuna_search import search_with_optuna

        return partial(search_with_optuna, config, options)
