"""Hydra sweeper ``pretraining_search``: pretrains stacks with settings from a search space, and chooses the best."""

from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig, OmegaConf

from hydra_plugins.layerwise_dbn.adaptive import AdaptiveSweeper, Launch


class PretrainingSearch(AdaptiveSweeper):
    """Tunes the pretraining of a stack, see :mod:`finetune.pretraining_search`."""

    def search_of(self, config: DictConfig) -> Callable[[Launch], None] | None:
        """See :class:`AdaptiveSweeper`."""
        from finetune.pretraining_search import search_pretraining

        space: Any = OmegaConf.to_container(config.hydra.sweeper.space, resolve=True)
        n_settings = config.hydra.sweeper.n_settings
        return lambda launch: search_pretraining(config, n_settings, space, launch)
