"""Activations of feed-forward networks, which correspond to the means of unit types."""

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from dbn.models.registry import Registered


class Activation(Registered):
    """Function from ``field + bias`` to means. A user-defined subclass sets ``kind``, see :class:`Registered`."""

    registry: ClassVar[dict[str, type[Any]]] = {}

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """``(..., n)`` -> ``(..., n)``."""


class Sigmoid(Activation):
    """The logistic function."""

    kind: ClassVar[str] = "sigmoid"

    def __call__(self, x: Tensor) -> Tensor:
        """``1 / (1 + exp(-x))``."""
        return torch.sigmoid(x)


class Tanh(Activation):
    """The hyperbolic tangent."""

    kind: ClassVar[str] = "tanh"

    def __call__(self, x: Tensor) -> Tensor:
        """``tanh(x)``."""
        return torch.tanh(x)


class ReLU(Activation):
    """The rectifier."""

    kind: ClassVar[str] = "relu"

    def __call__(self, x: Tensor) -> Tensor:
        """``max(0, x)``."""
        return torch.relu(x)


class Identity(Activation):
    """No activation: linear units."""

    kind: ClassVar[str] = "identity"

    def __call__(self, x: Tensor) -> Tensor:
        """``x`` itself."""
        return x
