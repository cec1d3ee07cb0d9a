"""Networks of one shape that train together, and the best weights of each."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

from dbn.loop import BlockModule
from dbn.products import faster_products
from finetune.linear import Bfloat16Linear, Linear
from finetune.network import Network


class ParallelLinear(Linear):
    """Layers of weights side by side: weights ``(members, n_outputs, n_inputs)``, biases ``(members, 1, n_outputs)``.

    Args:
        layers: one of each member; their parameters are copied.
    """

    def __init__(self, layers: Sequence[Linear]) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layers[0].in_features, layers[0].out_features
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]).unsqueeze(1))

    def forward(self, x: Tensor) -> Tensor:
        """``x @ W^T + b`` of each member, ``(members, batch, n_inputs)`` -> ``(members, batch, n_outputs)``."""
        if self.precision == "bf16" and self.training:
            output: Tensor = Bfloat16Linear.apply(x, self.weight, self.bias)
            return output
        with faster_products(x.numel() * self.out_features):
            return torch.baddbmm(self.bias, x, self.weight.mT)


class ParallelNetwork(Network):
    """Networks of the same sizes, activations and dropout, the members: one product multiplies those of all of them.

    Inputs and outputs are ``(members, batch, n)``. Members do not touch each other: with the noise of its own generator
    each is trained as it would be by itself, up to the order in which products add up.

    Args:
        networks: the members; their parameters are copied, and given back by :meth:`hand_back`.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        nn.Module.__init__(self)
        first = networks[0]
        self.sizes, self.code, self.activations = first.sizes, first.code, first.activations
        self.layers = nn.ModuleList(map(ParallelLinear, zip(*(net.linear_layers() for net in networks), strict=True)))
        self.dropouts = deepcopy(first.dropouts)
        self.networks = list(networks)  # a list: no part of this module

    @torch.no_grad()
    def hand_back(self) -> None:
        """Copy the trained parameters into the networks that the members came from."""
        for number, network in enumerate(self.networks):
            for own, layer in zip(network.linear_layers(), self.linear_layers(), strict=True):
                own.weight.copy_(layer.weight[number])
                own.bias.copy_(layer.bias[number, 0])
                own.precision = layer.precision


def group_of(networks: Sequence[Network]) -> Network:
    """Networks as one that trains them together; a single one, itself."""
    return networks[0] if len(networks) == 1 else ParallelNetwork(networks)


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
