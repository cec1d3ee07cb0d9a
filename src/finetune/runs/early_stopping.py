"""Which weights are kept, and when training stops: those of the epoch with the best validation metric, and patience."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping
from torch import Tensor, nn

from dbn.fitting.block_module import BlockModule
from dbn.fitting.checkpoints import MovableCheckpoint
from finetune.networks.normalisation import running_statistics
from finetune.tasks import FineTuning


class BestMembers(Callback):
    """Callback that keeps the weights of each member's best epoch, in memory; a single network is one member.

    Args:
        monitor: validation metric; lower is better.

    Attributes:
        epochs: best epoch of each member, from 0; empty before the first validation.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor
        self.values: list[float] = []
        self.epochs: list[int] = []
        self.weights: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Move weights of a checkpoint, which are on the CPU, to the device."""
        self.weights = {name: weight.to(pl_module.device) for name, weight in self.weights.items()}

    @torch.no_grad()
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the weights of the members whose metric is their lowest so far."""
        assert isinstance(pl_module, BlockModule)
        values = [row[self.monitor] for row in pl_module.latest]
        if not self.values:
            self.values, self.epochs = [float("inf")] * len(values), [0] * len(values)
            self.weights = {name: tensor.detach().clone() for name, tensor in _trained(pl_module)}
        better = [number for number, value in enumerate(values) if value < self.values[number]]
        for number in better:
            self.values[number], self.epochs[number] = values[number], trainer.current_epoch
        for name, tensor in _trained(pl_module) if better else ():
            if len(values) == 1:
                self.weights[name].copy_(tensor)
            else:
                self.weights[name][better] = tensor[better]

    @torch.no_grad()
    def restore(self, module: nn.Module) -> None:
        """Set every member's weights to its best ones."""
        for name, tensor in _trained(module):
            if name in self.weights:
                tensor.copy_(self.weights[name])

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint."""
        return {"values": self.values, "epochs": self.epochs, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self.values, self.epochs, self.weights = state_dict["values"], state_dict["epochs"], state_dict["weights"]


def _trained(module: nn.Module) -> list[tuple[str, Tensor]]:
    """All that training changes, by name: parameters, and running averages of normalisation."""
    return [*module.named_parameters(), *running_statistics(module).items()]


def best_checkpoint(directory: Path, monitor: str) -> MovableCheckpoint:
    """Callback that keeps ``best.ckpt``, the weights of the epoch with the lowest ``monitor``."""
    return MovableCheckpoint(
        dirpath=directory, filename="best", monitor=monitor, mode="min", save_top_k=1, save_weights_only=True,
        enable_version_counter=False,
    )  # fmt: skip


def restore_best(module: FineTuning, best: BestMembers | MovableCheckpoint) -> list[int]:
    """Restore the weights of each network's best epoch; returns these epochs, or none after ``fast_dev_run``."""
    if isinstance(best, BestMembers):
        best.restore(module)
        return best.epochs
    file = Path(best.dirpath or ".") / "best.ckpt"
    if not file.is_file():  # under fast_dev_run
        return []
    checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    module.load_state_dict(checkpoint["state_dict"])
    return [checkpoint["epoch"]]


class PatientStopping(EarlyStopping):
    """Early stopping that stays stopped when a fit is resumed, unless ``patience`` was increased."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of a checkpoint, with the patience of this fit."""
        super().load_state_dict({**state_dict, "patience": self.patience})

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Stop immediately if patience was exhausted before the interruption."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True
