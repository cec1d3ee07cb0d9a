"""Hydra sweeper ``compute_climb``: trains each job of a multirun longer and longer, for as long as it gains."""

from collections.abc import Callable
from functools import partial

from omegaconf import DictConfig

from hydra_plugins.layerwise_dbn.adaptive import AdaptiveSweeper, Launch


class ComputeClimb(AdaptiveSweeper):
    """Compute as an axis, see :mod:`finetune.compute_climb`."""

    def search_of(self, config: DictConfig) -> Callable[[Launch], None] | None:
        """See :class:`AdaptiveSweeper`."""
        from finetune.climb_steps import climb_of
        from finetune.compute_climb import climb

        options = climb_of(config)
        return None if options is None else partial(climb, config, options)
