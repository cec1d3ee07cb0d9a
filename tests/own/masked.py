"""A connection of one's own: a dense one, some of whose weights stay at zero, in the RBM and in the network."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from dbn.models.connections import Dense
from dbn.models.gradients import gradient_of
from dbn.models.linear import Linear
from dbn.random.streams import stream


def mask(n_visible: int, n_hidden: int, density: float) -> Tensor:
    return (torch.rand(n_visible, n_hidden, generator=stream(0, "mask")) < density).float()


class Masked(Dense):
    """A share ``density`` of the weights takes part."""

    kind: ClassVar[str] = "masked"
    options: ClassVar[tuple[str, ...]] = ("density",)

    def __init__(self, visible_shape: Sequence[int], n_hidden: int, density: float = 0.5) -> None:
        super().__init__(visible_shape, n_hidden)
        self.density = density
        self.register_buffer("mask", mask(self.n_visible, n_hidden, density), persistent=False)

    def matrix(self) -> Tensor:
        return self.weight * self.mask

    def write_gradient(self, v: Tensor, h: Tensor, state_weights: Tensor) -> None:
        super().write_gradient(v, h, state_weights)
        gradient_of(self.weight).mul_(self.mask)

    def encoder(self, bias: Tensor) -> Linear:
        layer = MaskedLinear(self.n_visible, self.n_hidden, self.density).to(bias.dtype)
        with torch.no_grad():
            layer.weight.copy_(self.weight.T)
            layer.bias.copy_(bias)
        return layer


class MaskedLinear(Linear):
    """The same in a network."""

    kind: ClassVar[str] = "masked"
    options: ClassVar[tuple[str, ...]] = ("in_features", "out_features", "density")
    precisions: ClassVar[tuple[str, ...]] = ("float32",)

    def __init__(self, in_features: int, out_features: int, density: float) -> None:
        super().__init__(in_features, out_features)
        self.density = density
        self.register_buffer("mask", mask(in_features, out_features, density).T, persistent=False)

    def forward(self, x: Any) -> Tensor:
        return F.linear(x, self.weight * self.mask, self.bias)
