"""Activations of feed-forward networks, which correspond to the means of unit types."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from dbn.models.categories import check_categories, softmax
from dbn.models.registry import Registered
from dbn.settings import check_number


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


class Binomial(Activation):
    """Mean number of successes, see :class:`dbn.models.units.Binomial`.

    Args:
        trials: number of trials of every unit.
    """

    kind: ClassVar[str] = "binomial"
    options: ClassVar[tuple[str, ...]] = ("trials",)

    def __init__(self, trials: int) -> None:
        check_number("network.activation.trials", trials, low=1, whole=True)
        self.trials = trials

    def __call__(self, x: Tensor) -> Tensor:
        """``trials / (1 + exp(-x))``."""
        return self.trials * torch.sigmoid(x)


class Softmax(Activation):
    """Probabilities of categories in groups of units, see :class:`dbn.models.units.Softmax`.

    Args:
        categories: number of units in every group, or a list with that of each.
    """

    kind: ClassVar[str] = "softmax"
    options: ClassVar[tuple[str, ...]] = ("categories",)

    def __init__(self, categories: int | Sequence[int]) -> None:
        check_categories("network.activation.categories", categories)
        self.categories = categories if isinstance(categories, int) else list(categories)

    def __call__(self, x: Tensor) -> Tensor:
        """Softmax of each group."""
        return softmax(x, check_categories("network.activation.categories", self.categories, x.shape[-1]))


class Mixed(Activation):
    """An activation for each part of the units, see :class:`dbn.models.units.Mixed`.

    Args:
        parts: for each the number ``n`` of its units, and its ``activation``.
    """

    kind: ClassVar[str] = "mixed"
    options: ClassVar[tuple[str, ...]] = ("parts",)

    def __init__(self, parts: Sequence[Mapping[str, Any]]) -> None:
        self.parts = [{"n": part["n"], "activation": part["activation"]} for part in parts]
        self.functions: list[Activation] = [
            Activation.create(part["activation"], "network.activation") for part in parts
        ]

    def __call__(self, x: Tensor) -> Tensor:
        """Each part's activation of its units."""
        of_parts = x.split([part["n"] for part in self.parts], -1)
        return torch.cat([function(own) for function, own in zip(self.functions, of_parts, strict=True)], -1)
