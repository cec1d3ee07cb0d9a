"""Checkpoints to go on from after an interruption: of whole epochs, written whole, not more often than needed."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.callbacks import ModelCheckpoint

from dbn.files import replacing
from dbn.metrics import MetricsFile, MetricsFiles

LAST = "last"


class WholeCheckpointIO(TorchCheckpointIO):
    """Checkpoints that take their place in one step, so that a kill while saving leaves the one before.

    Lightning's own way goes through the system's temporary folder, from where moving is a copy if that is another disk.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write ``checkpoint`` beside ``path``, then put it there."""
        with replacing(Path(path)) as temporary:
            torch.save(checkpoint, temporary)


class LastCheckpoint(ModelCheckpoint):
    """Keeps ``last.ckpt`` of a whole epoch: the last one of a fit, and before it one whenever ``seconds`` have passed.

    Epochs of a small model are shorter than saving one. What is done again after an interruption is done with the same
    bits. The rows of ``metrics.csv`` up to a checkpoint are on disk before it is.

    Args:
        directory: where to.
        seconds: least time between two checkpoints; 0 for one after every epoch.
    """

    def __init__(self, directory: Path, seconds: float) -> None:
        super().__init__(
            dirpath=directory, filename=LAST, save_top_k=1, save_on_train_epoch_end=True, enable_version_counter=False
        )
        self.seconds = seconds
        self.saved = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save if it is time."""
        over = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if not over and time.monotonic() - self.saved < self.seconds:
            return
        for logger in trainer.loggers:
            if isinstance(logger, MetricsFile):  # Lightning logs this epoch only after this hook
                logger.merge({**as_floats(trainer.callback_metrics), "epoch": trainer.current_epoch})
            if isinstance(logger, MetricsFile | MetricsFiles):
                logger.flush()
        super().on_train_epoch_end(trainer, pl_module)
        self.saved = time.monotonic()


def as_floats(metrics: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """Metrics as plain numbers."""
    return {name: float(value) for name, value in metrics.items()}


def resume_path(directory: Path | None) -> Path | None:
    """``last.ckpt`` in ``directory``, if a fit was interrupted there."""
    path = None if directory is None else directory / f"{LAST}.ckpt"
    return path if path is not None and path.is_file() else None
