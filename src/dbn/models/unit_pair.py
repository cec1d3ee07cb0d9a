"""Two layers of units and the connection between them: what RBMs and tied autoencoders have in common."""

import math
from collections.abc import Sequence
from copy import copy
from typing import Any, Self

import torch
from torch import Tensor, nn

from dbn.data.tensors import as_states
from dbn.errors import SettingError
from dbn.models.connections import Connection, make_connection
from dbn.models.connections.tf32 import TF32Products
from dbn.models.layer import Layer
from dbn.models.linear import Linear, WeightLayer
from dbn.models.pooling import Pooling
from dbn.models.units import Units, make_units


class UnitPair(Layer):
    """Visible units, hidden units, and the connection that owns the weight, with the mean-field passes of a layer.

    A subclass says what the units mean to each other, and sets ``kind``.

    Args:
        visible: ``n_visible`` visible units.
        hidden: ``n_hidden`` hidden units.
        connection: connection of the two layers.
    """

    def __init__(self, visible: Units, hidden: Units, connection: Connection) -> None:
        super().__init__()
        self.visible = visible
        self.hidden = hidden
        self.connection = connection
        # nn.Module finds submodules by __getattr__, which takes as long as a small product; __dict__ is faster.
        self.__dict__.update(visible=visible, hidden=hidden, connection=connection)

    @property
    def downward(self) -> Connection:
        """What computes the visible units' field from hidden states: the connection itself, where weights are tied."""
        return self.connection

    @property
    def weight(self) -> nn.Parameter:
        """The connection's weight; ``(n_visible, n_hidden)`` if dense."""
        return self.connection.weight

    @property
    def n_visible(self) -> int:
        """Number of visible units."""
        return self.visible.size

    @property
    def n_hidden(self) -> int:
        """Number of hidden units."""
        return self.hidden.size

    def visible_states(self, v: Any) -> Tensor:
        """Validated states of the visible units, see :func:`dbn.data.tensors.as_states`."""
        return as_states(v, self.weight, self.n_visible, "visible")

    def hidden_states(self, h: Any) -> Tensor:
        """Validated states of the hidden units, see :func:`dbn.data.tensors.as_states`."""
        return as_states(h, self.weight, self.n_hidden, "hidden")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the visible units."""
        return self.visible.shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the hidden units, or of the blocks that the layer above sees."""
        return self.hidden.output_shape

    @property
    def input_type(self) -> Any:
        """Type of the visible units' values."""
        return self.visible.value_type

    @property
    def output_type(self) -> Any:
        """Type of the hidden units' values, as the layer above sees them."""
        return self.hidden.value_type

    @property
    def pooling(self) -> Pooling | None:  # type: ignore[override]
        """That of the hidden units."""
        return self.hidden.pooling

    @property
    def operations(self) -> int:
        """Multiplications of a field for one state."""
        return self.connection.operations

    def weights(self) -> list[nn.Parameter]:
        """The connection's weight."""
        return [self.connection.weight]

    def hidden_field(self, v: Tensor) -> Tensor:
        """Field of the hidden units: ``(batch, n_visible)`` -> ``(batch, n_hidden)``."""
        return self.connection.hidden_field(self.visible_states(v))

    def given(self, v: Tensor) -> Self:
        """The pair whose visible units are as they are from states ``v`` on, see :meth:`Units.given`; often itself."""
        visible = self.visible.given(v)
        if visible is self.visible:
            return self
        other = copy(self)
        other.__dict__["visible"] = visible
        return other

    def encoder(self) -> tuple[WeightLayer, Any]:
        """The connection's encoder with the hidden units' bias and gain, and their activation."""
        return scaled(self.connection.encoder(self.hidden.bias), self.hidden), self.hidden.activation

    def decoder(self) -> tuple[WeightLayer, Any]:
        """The connection's decoder with the visible units' bias and gain, and their activation."""
        return scaled(self.downward.decoder(self.visible.bias), self.visible), self.visible.activation

    def up(self, x: Tensor) -> Tensor:
        """What the layer above sees of the hidden units, ``(batch, n_visible)`` -> ``(batch, n_outputs)``."""
        return self.hidden.outputs(self.hidden_field(x))

    def down(self, h: Tensor) -> Tensor:
        """Mean of the visible units given outputs, ``(batch, n_outputs)`` -> ``(batch, n_visible)``."""
        states = as_states(h, self.weight, math.prod(self.output_shape), "hidden")
        return self.visible.mean(self.downward.visible_field(self.hidden.spread(states)))

    @classmethod
    def group(cls, members: Sequence[Any]) -> Self:
        """A layer that holds copies of layers of one shape as its members; states are ``(members, batch, n)``.

        Members are independent: each trains as it would alone, up to the order of summation in products. Energies and
        likelihoods are defined for the members, not for the group.

        Raises:
            SettingError: shapes differ, or the connection does not support groups.
        """
        shapes = {f"{pair.visible} by {pair.hidden}" for pair in members}
        if len(shapes) != 1:
            raise SettingError(
                f"{cls.__name__}s that train together must be of one shape; these are {', '.join(sorted(shapes))}."
            )
        visible = type(members[0].visible).group([pair.visible for pair in members])
        hidden = type(members[0].hidden).group([pair.hidden for pair in members])
        return cls(visible, hidden, type(members[0].connection).group([pair.connection for pair in members]))

    def members(self) -> "list[Self]":
        """Members of a group, whose parameters are views of the group's; ``[self]`` for a single layer."""
        if not self.connection.members:
            return [self]
        return [
            type(self)(self.visible.member(k), self.hidden.member(k), self.connection.member(k))
            for k in range(*self.connection.members)
        ]

    def in_precision(self, precision: str) -> Self:
        """The layer itself for ``float32``; for ``bf16`` or ``tf32`` one with the same parameters and such products.

        Raises:
            SettingError: the connection does not support bfloat16.
        """
        if precision == "float32":
            return self
        connection = TF32Products(self.connection) if precision == "tf32" else self.connection.in_bfloat16()
        return type(self)(self.visible, self.hidden, connection)

    def description(self) -> dict[str, Any]:
        """Types, shapes and options of units and connection."""
        return {
            "kind": self.kind,
            "visible": self.visible.spec(),
            "hidden": self.hidden.spec(),
            "connection": self.connection.spec(),
            "visible_shape": list(self.visible.shape),
            "hidden_shape": list(self.hidden.shape),
        }

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> Self:
        """An untrained layer, see :meth:`Layer.from_description`."""
        shape, hidden_shape = description["visible_shape"], description["hidden_shape"]
        connection = make_connection(description["connection"], shape, hidden_shape[-1])
        return cls(
            make_units(description["visible"], shape), make_units(description["hidden"], hidden_shape), connection
        )


def scaled(layer: WeightLayer, units: Units) -> WeightLayer:
    """The layer with the units' gains, if they have any, as factors of their incoming weights.

    Raises:
        SettingError: units have gains, and the layer is not dense.
    """
    gain = units.gain()
    if gain is None:
        return layer
    if not isinstance(layer, Linear):
        raise SettingError(
            f"{units.kind} units scale their fields, which {type(layer).__name__} has no weights of its own for. Use "
            "connection=dense, or units without learned variance."
        )
    with torch.no_grad():
        layer.weight.mul_(gain.unsqueeze(-1))
    return layer
