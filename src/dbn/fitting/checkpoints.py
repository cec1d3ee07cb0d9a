"""Checkpoints for resuming: written atomically after a block or epoch, at limited frequency."""

import io
import logging
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.callbacks import ModelCheckpoint

from dbn.files import time_of, write_bytes
from dbn.fitting.metrics_file import FileLogger
from dbn.fitting.preemption import PreemptedError, preemption

log = logging.getLogger(__name__)

LAST = "last"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints atomically: a process killed while saving leaves the previous checkpoint.

    Lightning's own writes to the system's temporary folder first; if that is on another disk, moving is not atomic.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write ``checkpoint`` to ``path`` atomically."""
        content = io.BytesIO()
        torch.save(checkpoint, content)  # writing to a file, it would hide the OSError of a full disk
        write_bytes(Path(path), content.getbuffer())


class MovableCheckpoint(ModelCheckpoint):
    """Keeps the best checkpoint's state if its directory was moved, or training continues in another directory.

    Lightning's own discards that state, with a warning, and takes the next epoch for the best.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state, with paths in the present directory."""
        old = str(state_dict["dirpath"])
        super().load_state_dict({key: moved(value, old, str(self.dirpath)) for key, value in state_dict.items()})


def moved(value: Any, old: str, new: str) -> Any:
    """Replace the folder ``old`` by ``new`` in a path, or in the keys of a dict; other values are unchanged."""
    if isinstance(value, dict):
        return {moved(key, old, new): item for key, item in value.items()}
    if isinstance(value, str) and (value == old or value.startswith(f"{old}/")):
        return new + value[len(old) :]
    return value


class LastCheckpoint(MovableCheckpoint):
    """Writes ``last.ckpt``: after a block or epoch if ``seconds`` have passed, at the end, and when asked to stop.

    Time, not epochs, decides: an epoch of a small model is shorter than saving, one of a large model too long to lose.
    The rows of ``metrics.csv`` up to a checkpoint are written before it.

    Args:
        directory: folder of the file.
        seconds: minimum time between two checkpoints; 0: after every epoch, and never within one.
    """

    def __init__(self, directory: Path, seconds: float) -> None:
        super().__init__(
            dirpath=directory, filename=LAST, save_top_k=1, save_on_train_epoch_end=True, enable_version_counter=False
        )
        self.seconds = seconds
        self.saved = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save within an epoch if it is due, or this process was asked to stop; not after the epoch's last block.

        Raises:
            PreemptedError: this process was asked to stop.
        """
        stopping = any_process(trainer, preemption.requested)
        due = self.seconds > 0 and time.monotonic() - self.saved >= self.seconds
        if batch_idx + 1 < trainer.num_training_batches and (stopping or any_process(trainer, due)):
            self.flush_rows(trainer)
            trainer.save_checkpoint(self.file)
            self.record_save()
            if stopping:
                raise PreemptedError

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save if it is due, or this process was asked to stop.

        Raises:
            PreemptedError: this process was asked to stop, and this is not the last epoch.
        """
        over = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        stopping = any_process(trainer, preemption.requested)
        if not (over or stopping or any_process(trainer, time.monotonic() - self.saved >= self.seconds)):
            return
        self.flush_rows(trainer)
        super().on_train_epoch_end(trainer, pl_module)
        self.record_save()
        if stopping and not over:
            raise PreemptedError

    @property
    def file(self) -> Path:
        """Path of ``last.ckpt``."""
        return Path(self.dirpath or ".") / f"{LAST}.ckpt"

    def record_save(self) -> None:
        """Record time and file of a save."""
        self.saved = time.monotonic()
        preemption.checkpoint = self.file

    def flush_rows(self, trainer: pl.Trainer) -> None:
        """Write the rows of ``metrics.csv``, and of what else is logged to."""
        for logger in trainer.loggers:
            if isinstance(logger, FileLogger):
                logger.flush()


def any_process(trainer: pl.Trainer, condition: bool) -> bool:
    """Whether ``condition`` holds in any process of the fit."""
    if trainer.world_size == 1:
        return condition
    conditions = torch.tensor(int(condition), device=trainer.strategy.root_device)
    torch.distributed.all_reduce(conditions, torch.distributed.ReduceOp.MAX)
    return bool(conditions)


def resume_path(directory: Path | None) -> Path | None:
    """``last.ckpt`` in ``directory``, or None if there is none."""
    path = None if directory is None else directory / f"{LAST}.ckpt"
    if path is None or not path.is_file():
        return None
    preemption.checkpoint = path
    log.info("%s: going on from the checkpoint of %s.", path.parent.parent, time_of(path))
    return path
