"""Activations of feed-forward networks, by name: what a unit type's mean becomes in a network."""

from collections.abc import Callable

import torch
from torch import Tensor

Activation = Callable[[Tensor], Tensor]
"""From ``field + bias`` ``(..., n)`` to means, of the same shape."""

ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "identity": lambda x: x,
}
"""Add to it to give the units of a type of one's own, say ``"softmax4"``, a network that they unroll into."""
