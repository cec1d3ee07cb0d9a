"""What an estimator records and prints of a fit."""

from collections.abc import Callable, Mapping
from typing import Any

from pytorch_lightning.callbacks import LambdaCallback


def after_each_epoch(report: Callable[[int, Mapping[str, float]], None]) -> LambdaCallback:
    """A callback that calls ``report`` with the number of epochs so far and the metrics of the last one.

    A module logs its metrics after the callbacks' ``on_train_epoch_end``, so they are taken at the next epoch's start.
    """

    def tell(trainer: Any, module: Any) -> None:
        if module.latest:
            report(trainer.current_epoch, module.latest[0])

    return LambdaCallback(on_train_epoch_start=tell, on_train_end=tell)
