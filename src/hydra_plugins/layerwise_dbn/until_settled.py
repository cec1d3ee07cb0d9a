"""Hydra sweeper ``until_settled``: launches the jobs of a multirun with more seeds, until their study is settled."""

from collections.abc import Callable
from functools import partial

from omegaconf import DictConfig

from hydra_plugins.layerwise_dbn.adaptive import AdaptiveSweeper, Launch


class UntilSettled(AdaptiveSweeper):
    """Seeds until a study is settled, see :mod:`finetune.until_settled`."""

    def search_of(self, config: DictConfig) -> Callable[[Launch], None] | None:
        """See :class:`AdaptiveSweeper`."""
        from finetune.seed_batches import seed_batches_of
        from finetune.until_settled import grow

        options = seed_batches_of(config)
        return None if options is None else partial(grow, config, options)
