"""What an estimator records and prints of a fit."""

import time
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


def print_each_epoch(name: str) -> LambdaCallback:
    """A callback that prints a line per epoch, as scikit-learn's estimators do.

    Args:
        name: of the estimator.
    """
    times = [time.perf_counter()]

    def print_epoch(number: int, metrics: Mapping[str, float]) -> None:
        times.append(time.perf_counter())
        (error,) = (value for key, value in metrics.items() if key.endswith("reconstruction_error"))
        seconds = times[-1] - times[-2]
        print(f"[{name}] Iteration {number}, reconstruction error = {error:.2f}, time = {seconds:.2f}s")

    return after_each_epoch(print_epoch)
