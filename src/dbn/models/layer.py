"""The interface of a layer of a stack: mean-field passes up and down, and conversion to layers of a network."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from dbn.models.linear import WeightLayer
from dbn.models.pooling import Pooling
from dbn.models.registry import Registered


class Layer(Registered, nn.Module, ABC):
    """One layer of a stack, such as an RBM, independent of the method that trains it.

    A user-defined type subclasses this class and sets ``kind``, see :class:`dbn.models.registry.Registered`. Its
    constructor may have any arguments: model files are read by :meth:`from_description`.
    """

    registry: ClassVar[dict[str, type[Any]]] = {}

    pooling: Pooling | None = None
    """Pooling between the fields of the encoder and its activation; None: none."""

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the inputs."""

    @property
    @abstractmethod
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the outputs."""

    @property
    @abstractmethod
    def operations(self) -> int:
        """Multiplications of :meth:`up` for one state."""

    @abstractmethod
    def weights(self) -> list[nn.Parameter]:
        """Parameters to which the weight cost applies (no biases)."""

    @property
    @abstractmethod
    def input_type(self) -> Any:
        """Unit type of the inputs, as :meth:`dbn.models.registry.Registered.spec` of units."""

    @property
    @abstractmethod
    def output_type(self) -> Any:
        """Unit type of the outputs, which must be the input type of the layer above."""

    @abstractmethod
    def up(self, x: Tensor) -> Tensor:
        """Mean-field pass up, ``(batch, n_inputs)`` -> ``(batch, n_outputs)``."""

    @abstractmethod
    def down(self, h: Tensor) -> Tensor:
        """Mean-field pass down, ``(batch, n_outputs)`` -> ``(batch, n_inputs)``."""

    @abstractmethod
    def encoder(self) -> tuple[WeightLayer, Any]:
        """Network layer that computes :meth:`up`, with copies of the parameters, and its activation.

        Its fields are pooled before the activation where the layer has a :attr:`pooling`.
        """

    @abstractmethod
    def decoder(self) -> tuple[WeightLayer, Any]:
        """Network layer that computes :meth:`down`, with copies of the parameters, and its activation."""

    def members(self) -> "Sequence[Layer]":
        """Members of a group, whose parameters are views of the group's; ``[self]`` for a single layer."""
        return [self]

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """Content of a model file's header for this layer: plain JSON with ``kind``."""

    @classmethod
    @abstractmethod
    def from_description(cls, description: dict[str, Any]) -> "Layer":
        """An untrained layer with the given :meth:`description`.

        Raises:
            SettingError: it names a type that is not registered.
        """


def group_layers(layers: Sequence[Layer]) -> Layer:
    """One layer for several models, see :meth:`Layer.group`; a single layer itself."""
    layer: Layer = layers[0] if len(layers) == 1 else type(layers[0]).group(layers)
    return layer
