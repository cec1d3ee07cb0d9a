"""Groups of networks that train together, and the best weights of each member."""

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

from dbn.fitting.block_module import BlockModule
from finetune.networks.network import Network, NetworkBlock


class NetworkGroup(Network):
    """Networks with equal layers, activations and dropout, whose products are computed as batched products.

    Inputs and outputs are ``(members, batch, n)``. Members are independent: each trains as it would alone, up to the
    order of summation in products.

    Args:
        networks: the members; their parameters are copied, and copied back by :meth:`copy_to_members`.

    Raises:
        SettingError: a layer does not support groups.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        blocks = []
        for column in zip(*(network.blocks for network in networks), strict=True):
            layer = type(column[0].layer).group([block.layer for block in column])
            blocks.append(NetworkBlock(layer, column[0].activation, column[0].dropout.probability))
        super().__init__(blocks, networks[0].code)
        self.networks = list(networks)  # a plain list: not registered as submodules

    def copy_to_members(self) -> None:
        """Copy the trained parameters into the original networks."""
        for number, network in enumerate(self.networks):
            for own, layer in zip(network.layers, self.layers, strict=True):
                layer.copy_member(number, own)


def group_networks(networks: Sequence[Network]) -> Network:
    """One network for several members; a single network itself."""
    return networks[0] if len(networks) == 1 else NetworkGroup(networks)


class BestMembers(Callback):
    """Callback that keeps the weights of each member's best epoch.

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
            self.weights = {name: parameter.clone() for name, parameter in pl_module.named_parameters()}
        better = [number for number, value in enumerate(values) if value < self.values[number]]
        for number in better:
            self.values[number], self.epochs[number] = values[number], trainer.current_epoch
        for name, parameter in pl_module.named_parameters():
            self.weights[name][better] = parameter[better]

    @torch.no_grad()
    def restore(self, module: nn.Module) -> None:
        """Set every member's weights to its best ones."""
        for name, parameter in module.named_parameters():
            if name in self.weights:
                parameter.copy_(self.weights[name])

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint."""
        return {"values": self.values, "epochs": self.epochs, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self.values, self.epochs, self.weights = state_dict["values"], state_dict["epochs"], state_dict["weights"]
