"""All layers of a stack as one model, for methods that train them at once."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from dbn.models.layer import Layer, group_layers

JOINT = "joint"
"""Begins the names of metrics of a last stage that trains all layers as one."""


class JointLayers(nn.Module):
    """The layers of a stack, trained at once; in a group, each of them a group.

    Args:
        layers: from the data upwards.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(layers)

    @classmethod
    def group(cls, stacks: Sequence[Sequence[Layer]]) -> "JointLayers":
        """The layers of several stacks of one shape, which train together."""
        return cls([group_layers(column) for column in zip(*stacks, strict=True)])

    @property
    def layers(self) -> list[Any]:
        """The layers, from the data upwards."""
        return list(self.parts)

    @property
    def operations(self) -> int:
        """Multiplications of one state with the weights of the largest layer."""
        return max(int(layer.operations) for layer in self.layers)

    def weights(self) -> list[nn.Parameter]:
        """Parameters to which the weight cost applies."""
        return [weight for layer in self.layers for weight in layer.weights()]

    def members(self) -> "list[JointLayers]":
        """Members of a group; ``[self]`` for a single stack."""
        each = [layer.members() for layer in self.layers]
        return [self] if len(each[0]) == 1 else [JointLayers(column) for column in zip(*each, strict=True)]

    def up(self, x: Tensor) -> Tensor:
        """Mean-field pass up through all layers."""
        for layer in self.layers:
            x = layer.up(x)
        return x

    def down(self, h: Tensor) -> Tensor:
        """Mean-field pass down through all layers."""
        for layer in reversed(self.layers):
            h = layer.down(h)
        return h
