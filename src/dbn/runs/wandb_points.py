"""Metrics in Weights & Biases: one point per epoch, with the numbers that ``metrics.csv`` has in its row."""

from collections.abc import Mapping
from typing import Any

from dbn.fitting.metrics_file import FileLogger


class WandbPoints(FileLogger):
    """Collects the metrics of an epoch; logs them in one call when the next one begins, at checkpoints and at the end.

    (Lightning's WandbLogger logs each call as a point of its own, counts the epochs of each layer from 0, and adds the
    number of blocks.)

    Args:
        run: the ``wandb.Run``.
        first_epoch: number of this fit's first epoch, if several fits share the run.
    """

    def __init__(self, run: Any, first_epoch: int = 0) -> None:
        super().__init__()
        self.run = run
        self.first_epoch = first_epoch
        self.point: dict[str, float] = {}
        run.define_metric("*", step_metric="epoch")

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add metrics to the point of their epoch."""
        epoch = int(metrics["epoch"]) + self.first_epoch
        if epoch != self.point.get("epoch", epoch):
            self.flush()
        self.point.update({**{name: float(value) for name, value in metrics.items()}, "epoch": epoch})

    def flush(self) -> None:
        """Log what has been collected."""
        if self.point:
            self.run.log(self.point)
            self.point = {}

    def finalize(self, status: str) -> None:
        """Log what has been collected; called by Lightning at the end of a fit, also after an error."""
        self.flush()
