"""Stops a trial of ``sweep=optuna`` that is behind others at the same epoch."""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from dbn.fitting.block_module import BlockModule
from dbn.fitting.ranks import is_first
from finetune.runs.objective import objectives_of
from finetune.runs.optuna_study import OpenTrial


class Pruning(Callback):
    """Callback that reports the objective after every validation, of seeds that train together its mean.

    Whether and where a trial was stopped is kept in Optuna's file alone: a run that was interrupted, or that is made
    again from its command, stops where it stopped before.

    Args:
        config: of the run, or of the first of several that train together.

    Raises:
        SettingError, DataError: see :class:`OpenTrial`.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        (self.metric,) = objectives_of(config)
        self.trial = OpenTrial(config)
        self.stopped = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once if the trial was stopped before an interruption."""
        at = self.trial.pruned_at
        self._stop(trainer, at is not None and trainer.current_epoch >= at)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report, and stop where the pruner says so; all processes do what the first one decides."""
        assert isinstance(pl_module, BlockModule)
        value = fmean(row[self.metric] for row in pl_module.latest)
        self._stop(trainer, is_first() and self.trial.report(trainer.current_epoch + 1, value))

    def _stop(self, trainer: pl.Trainer, wanted: bool) -> None:
        if trainer.strategy.reduce_boolean_decision(wanted, all=False):
            self.stopped = trainer.should_stop = True


def pruning_of(config: Mapping[str, Any]) -> Pruning | None:
    """The callback of a run; None without ``search.pruner``."""
    return None if config["search"].get("pruner") is None else Pruning(config)
