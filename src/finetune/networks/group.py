"""Networks of one shape that train together, and the best weights of each."""

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

from dbn.fitting.block_module import BlockModule
from finetune.networks.network import Network, NetworkBlock


class NetworkGroup(Network):
    """Networks of the same layers, activations and dropout, the members: one product multiplies those of all of them.

    Inputs and outputs are ``(members, batch, n)``. Members do not touch each other: with the noise of its own generator
    each is trained as it would be by itself, up to the order in which products add up.

    Args:
        networks: the members; their parameters are copied, and given back by :meth:`copy_to_members`.

    Raises:
        SettingError: a layer of theirs cannot be trained so.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        blocks = []
        for column in zip(*(network.blocks for network in networks), strict=True):
            layer = type(column[0].layer).group([block.layer for block in column])
            blocks.append(NetworkBlock(layer, column[0].activation, column[0].dropout.probability))
        super().__init__(blocks, networks[0].code)
        self.networks = list(networks)  # a list: no part of this module

    def copy_to_members(self) -> None:
        """Copy the trained parameters into the networks that the members came from."""
        for number, network in enumerate(self.networks):
            for own, layer in zip(network.layers, self.layers, strict=True):
                layer.copy_member(number, own)


def group_networks(networks: Sequence[Network]) -> Network:
    """Networks as one that trains them together; a single one, itself."""
    return networks[0] if len(networks) == 1 else NetworkGroup(networks)


class BestMembers(Callback):
    """Keeps, of each of several networks that train together, the weights of its own best epoch.

    Args:
        monitor: validation metric; lower is better.

    Attributes:
        epochs: the best epoch of each member, from 0; empty before the first validation.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor
        self.values: list[float] = []
        self.epochs: list[int] = []
        self.weights: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Weights from a checkpoint, which Lightning reads to the CPU, go where the networks are."""
        self.weights = {name: weight.to(pl_module.device) for name, weight in self.weights.items()}

    @torch.no_grad()
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take over the weights of the members that are better than ever."""
        assert isinstance(pl_module, BlockModule)
        values = [row[self.monitor] for row in pl_module.latest]
        if not self.values:
            self.values, self.epochs = [float("inf")] * len(values), [0] * len(values)
            self.weights = {name: parameter.clone() for name, parameter in pl_module.named_parameters()}
        better = [number for number, value in enumerate(values) if value < self.values[number]]
        for number in better:
            self.values[number], self.epochs[number] = values[number], trainer.current_epoch
        for name, parameter in pl_module.named_parameters():
            self.weights[name][better] = parameter[better]

    @torch.no_grad()
    def restore(self, module: nn.Module) -> None:
        """Give every member its best weights."""
        for name, parameter in module.named_parameters():
            if name in self.weights:
                parameter.copy_(self.weights[name])

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"values": self.values, "epochs": self.epochs, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.values, self.epochs, self.weights = state_dict["values"], state_dict["epochs"], state_dict["weights"]
