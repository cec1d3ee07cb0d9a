"""Where training takes a network in the space of functions: its outputs for the same images, from start to end."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.torch import save as serialise
from torch import Tensor

from dbn.errors import DataError
from dbn.files import write_bytes
from finetune.tasks import FineTuning

TRAJECTORY_FILE = "trajectory.safetensors"
MOST_SNAPSHOTS = 50


def snapshot_epochs(epochs: int) -> list[int]:
    """After how many epochs to record, ascending: 0 is before training, ``epochs`` the end.

    Up to 49 epochs all of them; of more, 50 that are spread evenly in the logarithm, since a network travels farthest
    in its first epochs. They start with every epoch as long as an even spread would skip none.
    """
    if epochs < MOST_SNAPSHOTS:
        return list(range(epochs + 1))
    chosen = [0, 1]
    while len(chosen) < MOST_SNAPSHOTS:
        last, left = chosen[-1], MOST_SNAPSHOTS - len(chosen)
        chosen.append(max(last + 1, round(last * (epochs / last) ** (1 / left))))
    return chosen


class Trajectory(Callback):
    """Records class probabilities for the same images before training and after epochs of :func:`snapshot_epochs`.

    Recording draws no random number and changes nothing: a run is trained to the same bits with and without it.

    Args:
        features: of the images, ``(n, n_features)``.
        epochs: length of training. Where it stops earlier, its end is recorded in any case.

    Attributes:
        epochs: how many epochs each snapshot was taken after.
        outputs: the snapshots, float16 ``(members, n, n_classes)`` each.

    References:
        Erhan et al. (2010), *Why does unsupervised pre-training help deep learning?*, JMLR 11:625, section 6.3.
    """

    def __init__(self, features: Tensor, epochs: int) -> None:
        self.features = features
        self.wanted = frozenset(snapshot_epochs(epochs))
        self.finished = 0
        self.epochs: list[int] = []
        self.outputs: list[Tensor] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the starting weights, unless training goes on from a checkpoint."""
        if not self.epochs:
            self.record(pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record if this epoch is one of those: before the checkpoint of the epoch is written."""
        self.finished = trainer.current_epoch + 1
        if self.finished in self.wanted:
            self.record(pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the end of a training that stopped early."""
        if self.epochs[-1] != self.finished:
            self.record(pl_module)

    @torch.no_grad()
    def record(self, module: pl.LightningModule) -> None:
        """Add the network's outputs as it stands."""
        assert isinstance(module, FineTuning)
        network, features = module.network, self.features.to(module.device)
        training = network.training
        network.eval()
        outputs = network(features.expand(len(module.seeds), -1, -1) if len(module.seeds) > 1 else features)
        network.train(training)
        self.epochs.append(self.finished)
        self.outputs.append(outputs.softmax(-1).half().cpu().reshape(len(module.seeds), *outputs.shape[-2:]))

    def save(self, directory: Path, member: int) -> None:
        """Write ``trajectory.safetensors`` of one member, in one step.

        It holds ``outputs``, float16 ``(snapshots, n, n_classes)``, and ``epochs``, int64 ``(snapshots,)``.
        """
        tensors = {
            "outputs": torch.stack([own[member] for own in self.outputs]),
            "epochs": torch.tensor(self.epochs),
        }
        write_bytes(directory / TRAJECTORY_FILE, serialise(tensors))

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"finished": self.finished, "epochs": list(self.epochs), "outputs": list(self.outputs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.finished, self.epochs = state_dict["finished"], list(state_dict["epochs"])
        self.outputs = list(state_dict["outputs"])


@dataclass(frozen=True, eq=False)
class RecordedTrajectory:
    """What ``trajectory.safetensors`` holds.

    Attributes:
        epochs: after how many epochs each snapshot was taken, ascending, int64 ``(snapshots,)``.
        outputs: class probabilities, float32 ``(snapshots, n, n_classes)``.
    """

    epochs: NDArray[np.int64]
    outputs: NDArray[np.float32]


def read_trajectory(directory: Path) -> RecordedTrajectory | None:
    """The trajectory that a run's directory holds; None where none was recorded.

    Raises:
        DataError: the file is damaged.
    """
    path = directory / TRAJECTORY_FILE
    if not path.is_file():
        return None
    try:
        tensors = load_file(path)
        epochs, outputs = tensors["epochs"].astype(np.int64), tensors["outputs"].astype(np.float32)
    except (SafetensorError, OSError, KeyError) as error:
        raise DataError(f"{path}: not readable as a trajectory ({error}). Delete it and do the run again.") from error
    if outputs.ndim != 3 or epochs.shape != outputs.shape[:1]:
        raise DataError(
            f"{path}: outputs {outputs.shape} do not fit epochs {epochs.shape}. Delete it and do the run again."
        )
    return RecordedTrajectory(epochs, outputs)
