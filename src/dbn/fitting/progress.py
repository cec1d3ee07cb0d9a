"""Progress display of a fit."""

import os
import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column


def fixed() -> Column:
    """A column that keeps its width on a narrow terminal, where the bar shrinks instead."""
    return Column(no_wrap=True)


class FitProgress(ProgressBar):
    """Progress bar over the epochs of one fit, with a metric and the remaining time.

    On a terminal it is a live bar; otherwise, and under CI, one line at the end of the fit.

    Args:
        title: name of the model, e.g. ``layer 2/3  500-500``.
        metric: logged metric to show.
        label: name of the metric in the display.
        percent: show the metric in percent.
    """

    def __init__(self, title: str, metric: str, label: str, *, percent: bool = False) -> None:
        super().__init__()
        self.title = title
        self.metric = metric
        self.label = label
        self.percent = percent
        self.console = Console(file=sys.stderr)
        self.bar: Progress | None = None
        self.started = 0.0

    @property
    def live(self) -> bool:
        """Whether to show a live bar."""
        return self.console.is_terminal and not os.environ.get("CI")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar."""
        self.started = time.perf_counter()
        if self.live and trainer.is_global_zero:
            epochs = "epoch {task.fields[epoch]}/{task.total:.0f}"
            texts = ("{task.description}", BarColumn(bar_width=10), epochs, "{task.fields[watch]}")
            columns = [TextColumn(text, table_column=fixed()) if isinstance(text, str) else text for text in texts]
            self.bar = Progress(
                *columns, TimeRemainingColumn(table_column=fixed()), TextColumn("left"), console=self.console
            )
            self.task = self.bar.add_task(
                self.title,
                total=trainer.max_epochs,
                completed=trainer.current_epoch,
                epoch=trainer.current_epoch,
                watch="",
            )
            self.bar.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Advance within the epoch."""
        if self.bar is not None:
            fraction = (batch_idx + 1) / max(1, int(trainer.num_training_batches))
            self.bar.update(self.task, completed=trainer.current_epoch + fraction, epoch=trainer.current_epoch + 1)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the previous epoch's metric, which the module logs after the callbacks' ``on_train_epoch_end``."""
        if self.bar is not None:
            self.bar.update(self.task, completed=trainer.current_epoch, watch=self.metric_text(trainer))

    def metric_text(self, trainer: pl.Trainer) -> str:
        """Label and value of the metric as text; empty before it was logged."""
        value = trainer.callback_metrics.get(self.metric)
        if value is None:
            return ""
        return f"{self.label} {100 * float(value):.2f} %" if self.percent else f"{self.label} {float(value):.4g}"

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the metric of the last epoch and close the bar, or print the line."""
        if self.bar is not None:
            self.bar.update(self.task, completed=trainer.current_epoch, watch=self.metric_text(trainer))
        elif trainer.is_global_zero:
            seconds = time.perf_counter() - self.started
            words = [self.title, f"{trainer.current_epoch} epochs", self.metric_text(trainer), f"{seconds:.1f} s"]
            self.console.print("  ".join(word for word in words if word), highlight=False, soft_wrap=True)
        self.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Close the bar, which restores the terminal."""
        self.close()

    def close(self) -> None:
        """Close the live bar."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def disable(self) -> None:
        """Required by Lightning, which calls it on ranks without progress display."""
