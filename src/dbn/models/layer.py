"""What greedy pretraining leaves: a layer that goes up and down, and becomes a part of a network."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from dbn.errors import SettingError
from dbn.models.linear import WeightLayer
from dbn.models.registry import Registered


class Layer(Registered, nn.Module, ABC):
    """One layer of a stack, whatever the method that trains it: an RBM is one.

    A type of one's own subclasses this one and says its ``kind``, see :class:`dbn.models.registry.Registered`. Its
    constructor is its own affair: a file is read by :meth:`from_description`.
    """

    registry: ClassVar[dict[str, type[Any]]] = {}

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """Shape of what it goes up from."""

    @property
    @abstractmethod
    def output_shape(self) -> tuple[int, ...]:
        """Shape of what it goes up to."""

    @property
    @abstractmethod
    def operations(self) -> int:
        """Multiplications for one state on its way up."""

    @abstractmethod
    def weights(self) -> list[nn.Parameter]:
        """The parameters that a weight cost applies to: no biases."""

    @property
    @abstractmethod
    def input_type(self) -> Any:
        """What the inputs are, as :meth:`dbn.models.registry.Registered.spec` of units gives it."""

    @property
    @abstractmethod
    def output_type(self) -> Any:
        """What the outputs are: the layer above must have the same inputs."""

    @abstractmethod
    def up(self, x: Tensor) -> Tensor:
        """Mean-field pass up, ``(batch, n_inputs)`` -> ``(batch, n_outputs)``."""

    @abstractmethod
    def down(self, h: Tensor) -> Tensor:
        """Mean-field pass down, ``(batch, n_outputs)`` -> ``(batch, n_inputs)``."""

    @abstractmethod
    def encoder(self) -> tuple[WeightLayer, Any]:
        """The layer of a network that computes :meth:`up`, with copies of the parameters, and its activation."""

    @abstractmethod
    def decoder(self) -> tuple[WeightLayer, Any]:
        """The layer of a network that computes :meth:`down`, likewise."""

    @classmethod
    def group(cls, layers: "Sequence[Layer]") -> "Layer":
        """Copies of layers of one shape, side by side, for models that train together; states ``(members, batch, n)``.

        Raises:
            SettingError: there is no such thing for this type.
        """
        raise SettingError(
            f"n_parallel_seeds={len(layers)}: {cls.kind} layers cannot be trained for several seeds at once. Use "
            "n_parallel_seeds=1."
        )

    def members(self) -> "Sequence[Layer]":
        """The members of a group, whose parameters are views of the group's; of any other layer, itself."""
        return [self]

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """What a model file keeps beside the parameters; plain JSON, ``kind`` among it."""

    @classmethod
    @abstractmethod
    def from_description(cls, description: dict[str, Any]) -> "Layer":
        """An untrained layer of a :meth:`description`.

        Raises:
            SettingError: it names a type that has not been imported.
        """


def group_layers(layers: Sequence[Layer]) -> Layer:
    """Layers as one that trains them together, see :meth:`Layer.group`; a single one, itself."""
    return layers[0] if len(layers) == 1 else type(layers[0]).group(layers)
