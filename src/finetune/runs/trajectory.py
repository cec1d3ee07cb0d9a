"""Trajectory of a network in function space: its outputs for fixed images during training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from safetensors.torch import save as serialise
from torch import Tensor

from dbn.data import DataSet
from dbn.files import write_bytes
from finetune.runs.recorded_trajectory import TRAJECTORY_FILE
from finetune.tasks import FineTuning
from finetune.tasks.settings import TrainingSettings

MOST_SNAPSHOTS = 50


def snapshot_epochs(epochs: int) -> list[int]:
    """Numbers of epochs after which to record, ascending, from 0 (before training) to ``epochs``.

    All epochs if there are at most 49; otherwise 50 numbers, approximately uniform in the logarithm, since outputs
    change most in the first epochs.
    """
    if epochs < MOST_SNAPSHOTS:
        return list(range(epochs + 1))
    chosen = [0, 1]
    while len(chosen) < MOST_SNAPSHOTS:
        last, left = chosen[-1], MOST_SNAPSHOTS - len(chosen)
        chosen.append(max(last + 1, round(last * (epochs / last) ** (1 / left))))
    return chosen


class Trajectory(Callback):
    """Callback that records class probabilities for fixed images after the epochs of :func:`snapshot_epochs`.

    Recording draws no random numbers: training is bit-equal with and without it.

    Args:
        features: of the images, for each member, ``(members, n, n_features)``.
        epochs: length of training; if training stops earlier, its end is recorded, too.

    Attributes:
        epochs: number of epochs before each snapshot.
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
        """Record the initial outputs, unless training resumes from a checkpoint."""
        if not self.epochs:
            self.record(pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record if this is one of the chosen epochs; called before the epoch's checkpoint is written."""
        self.finished = trainer.current_epoch + 1
        if self.finished in self.wanted:
            self.record(pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the end of training that stopped early."""
        if self.epochs[-1] != self.finished:
            self.record(pl_module)

    @torch.no_grad()
    def record(self, module: pl.LightningModule) -> None:
        """Append the network's current outputs."""
        assert isinstance(module, FineTuning)
        network, features = module.network, self.features.to(module.device)
        training = network.training
        network.eval()
        outputs = network(features if len(module.seeds) > 1 else features[0])
        network.train(training)
        self.epochs.append(self.finished)
        self.outputs.append(outputs.softmax(-1).half().cpu().reshape(len(module.seeds), *outputs.shape[-2:]))

    def save(self, directory: Path, member: int) -> None:
        """Write ``trajectory.safetensors`` of one member, atomically.

        Content: ``outputs``, float16 ``(snapshots, n, n_classes)``, and ``epochs``, int64 ``(snapshots,)``.
        """
        tensors = {
            "outputs": torch.stack([own[member] for own in self.outputs]),
            "epochs": torch.tensor(self.epochs),
        }
        write_bytes(directory / TRAJECTORY_FILE, serialise(tensors))

    def state_dict(self) -> dict[str, Any]:
        """The recorded snapshots, for a checkpoint."""
        return {"finished": self.finished, "epochs": list(self.epochs), "outputs": list(self.outputs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the snapshots of a checkpoint."""
        self.finished, self.epochs = state_dict["finished"], list(state_dict["epochs"])
        self.outputs = list(state_dict["outputs"])


def trajectory_of(data: Sequence[DataSet], settings: TrainingSettings) -> Trajectory:
    """A recorder of outputs for ``settings.trajectory`` validation images (training images if there are none).

    Members with one split have the same images, those of every other run on that split. Only such runs can be compared
    as functions.

    Args:
        data: of each member.
        settings: with the number of images and of epochs.
    """
    images = [own.validation_or_train for own in data]
    features = {id(own): own.sample(settings.trajectory) for own in images}
    return Trajectory(torch.stack([features[id(own)] for own in images]), settings.epochs)
