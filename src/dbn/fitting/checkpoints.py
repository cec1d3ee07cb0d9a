"""Checkpoints to go on from after an interruption: at the end of a block, written whole, not more often than needed."""

import datetime
import io
import logging
import time
from pathlib import Path
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.callbacks import ModelCheckpoint

from dbn.files import write_bytes
from dbn.fitting.metrics_file import MetricsFile, MetricsFiles
from dbn.fitting.preemption import PreemptedError, preemption

log = logging.getLogger(__name__)

LAST = "last"


class WholeCheckpointIO(TorchCheckpointIO):
    """Checkpoints that take their place in one step, so that a kill while saving leaves the one before.

    Lightning's own way goes through the system's temporary folder, from where moving is a copy if that is another disk.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write ``checkpoint`` to ``path`` in one step."""
        content = io.BytesIO()
        torch.save(checkpoint, content)  # into a file, it hides from which error of the disk it suffers
        write_bytes(Path(path), content.getbuffer())


class MovableCheckpoint(ModelCheckpoint):
    """Remembers what was best although its directory has moved, or its run goes on in another's directory.

    Lightning's own forgets it then, with a warning, and takes the next epoch for the best.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint, with the paths of this directory."""
        there = str(state_dict["dirpath"])
        super().load_state_dict({key: moved(value, there, str(self.dirpath)) for key, value in state_dict.items()})


def moved(value: Any, there: str, here: str) -> Any:
    """A path below ``there`` as one below ``here``, also as the key of a dict; anything else, itself."""
    if isinstance(value, dict):
        return {moved(key, there, here): one for key, one in value.items()}
    if isinstance(value, str) and (value == there or value.startswith(f"{there}/")):
        return here + value[len(there) :]
    return value


class LastCheckpoint(MovableCheckpoint):
    """Keeps ``last.ckpt``: after a block or epoch whenever ``seconds`` have passed, at the end, and when told to stop.

    Epochs of a small model are shorter than saving one, those of a large one longer than anybody wants to lose. What is
    done again after an interruption is done with the same bits. The rows of ``metrics.csv`` up to a checkpoint are on
    disk before it is.

    Args:
        directory: where to.
        seconds: least time between two checkpoints; 0 for one after every epoch, none within.
    """

    latest: ClassVar[Path | None] = None
    """The file of the last checkpoint that this process has written, or gone on from."""

    def __init__(self, directory: Path, seconds: float) -> None:
        super().__init__(
            dirpath=directory, filename=LAST, save_top_k=1, save_on_train_epoch_end=True, enable_version_counter=False
        )
        self.seconds = seconds
        self.saved = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save within an epoch if it is time, or this process was told to stop; the last block is the epoch's matter.

        Raises:
            PreemptedError: it was.
        """
        told = agreed(trainer, preemption.requested)
        due = self.seconds > 0 and time.monotonic() - self.saved >= self.seconds
        if batch_idx + 1 < trainer.num_training_batches and (told or agreed(trainer, due)):
            self.flush_rows(trainer)
            trainer.save_checkpoint(self.file)
            self.has_saved()
            if told:
                raise PreemptedError

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save if it is time, or this process was told to stop.

        Raises:
            PreemptedError: it was, and this is not the last epoch.
        """
        over = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        told = agreed(trainer, preemption.requested)
        if not (over or told or agreed(trainer, time.monotonic() - self.saved >= self.seconds)):
            return
        self.flush_rows(trainer)
        super().on_train_epoch_end(trainer, pl_module)
        self.has_saved()
        if told and not over:
            raise PreemptedError

    @property
    def file(self) -> Path:
        """``last.ckpt``."""
        return Path(self.dirpath or ".") / f"{LAST}.ckpt"

    def has_saved(self) -> None:
        """Remember when, and which file."""
        self.saved = time.monotonic()
        LastCheckpoint.latest = self.file

    def flush_rows(self, trainer: pl.Trainer) -> None:
        """Write the rows of ``metrics.csv`` that there are."""
        for logger in trainer.loggers:
            if isinstance(logger, MetricsFile | MetricsFiles):
                logger.flush()


def agreed(trainer: pl.Trainer, wish: bool) -> bool:
    """Whether any process of the fit wishes it: all of them do the same."""
    if trainer.world_size == 1:
        return wish
    wishes = torch.tensor(int(wish), device=trainer.strategy.root_device)
    torch.distributed.all_reduce(wishes, torch.distributed.ReduceOp.MAX)
    return bool(wishes)


def resume_path(directory: Path | None) -> Path | None:
    """``last.ckpt`` in ``directory``, if a fit was interrupted there."""
    path = None if directory is None else directory / f"{LAST}.ckpt"
    if path is None or not path.is_file():
        return None
    LastCheckpoint.latest = path
    log.info("%s: going on from the checkpoint of %s.", path.parent.parent, time_of(path))
    return path


def time_of(file: Path) -> str:
    """When a file was written, as a person reads it."""
    written = datetime.datetime.fromtimestamp(file.stat().st_mtime).astimezone()
    return written.strftime("%d %B %Y, %H:%M:%S")
