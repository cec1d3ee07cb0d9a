"""The connection of a layer of a deep Boltzmann machine while it stands alone: it stands in for a second one."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dbn.errors import SettingError
from dbn.models.connections.base import Connection
from dbn.models.connections.dense import Dense
from dbn.models.gradients import gradient_of
from dbn.models.linear import Linear, WeightLayer
from dbn.settings import format_value


class Doubled(Connection):
    r"""A dense matrix ``W`` whose fields are multiplied, upwards by ``up`` and downwards by ``down``.

    Units within a deep Boltzmann machine receive a field from either side. While two of its layers are trained alone,
    the field from the one stands in for that of the other: :math:`2 v W` for the first hidden units, as from two copies
    of the visible units with tied weights; :math:`2 W h` for those below the top layer; both in between. The gradient
    is that of the weight of both copies, twice :math:`\sum_s w_s v_s h_s^T`.

    Args:
        visible_shape: shape of the visible units.
        n_hidden: number of hidden units.
        up: factor of the hidden units' field, 1 or 2.
        down: factor of the visible units' field, 1 or 2.
        plain: the dense connection, or group of them, that has the weight; None: a new one.

    Raises:
        SettingError: a factor is neither 1 nor 2.

    References:
        Salakhutdinov & Hinton (2009), *Deep Boltzmann machines*, AISTATS, section 3.1.
    """

    kind: ClassVar[str] = "doubled"
    options: ClassVar[tuple[str, ...]] = ("up", "down")

    def __init__(
        self, visible_shape: Sequence[int], n_hidden: int, up: int = 2, down: int = 2, *,
        plain: Connection | None = None,
    ) -> None:  # fmt: skip
        super().__init__(visible_shape, (n_hidden,))
        for name, value in (("up", up), ("down", down)):
            if isinstance(value, bool) or value not in (1, 2):
                raise SettingError(
                    f"connection.{name}={format_value(value)}: a field is that of one layer or stands in for two. Use "
                    "1 or 2."
                )
        self.up, self.down = up, down
        self.plain = Dense(visible_shape, n_hidden) if plain is None else plain
        self.members = self.plain.members
        self.fan_in_dimensions = self.plain.fan_in_dimensions

    @property
    def weight(self) -> nn.Parameter:  # type: ignore[override]  # that of the dense connection
        """``W``, ``(n_visible, n_hidden)``; in a group with the members first."""
        return self.plain.weight

    @property
    def operations(self) -> int:
        """As for the dense connection."""
        return self.plain.operations

    def hidden_field(self, v: Tensor, out: Tensor | None = None) -> Tensor:
        """``up * v @ W``."""
        field = self.plain.hidden_field(v, out)
        return field if self.up == 1 else field.mul_(self.up)

    def visible_field(self, h: Tensor, out: Tensor | None = None) -> Tensor:
        """``down * h @ W^T``."""
        field = self.plain.visible_field(h, out)
        return field if self.down == 1 else field.mul_(self.down)

    def write_gradient(self, v: Tensor, h: Tensor, state_weights: Tensor) -> None:
        r"""Twice :math:`\sum_s w_s v_s h_s^T`, where a factor is 2."""
        self.plain.write_gradient(v, h, state_weights)
        if (copies := max(self.up, self.down)) != 1:
            gradient_of(self.weight).mul_(copies)

    def encoder(self, bias: Tensor) -> WeightLayer:
        """Linear layer with weights ``up * W^T``, ``(n_hidden, n_visible)``, and the hidden units' bias."""
        return Linear.holding(self.up * self.weight.T, bias)

    def decoder(self, bias: Tensor) -> WeightLayer:
        """Linear layer with weights ``down * W``, ``(n_visible, n_hidden)``, and the visible units' bias."""
        return Linear.holding(self.down * self.weight, bias)

    @classmethod
    def group(cls, members: Sequence[Any]) -> "Doubled":
        """The doubled connection of a group of dense ones; factors are those of the first member."""
        first = members[0]
        plain = Dense.group([own.plain for own in members])
        return cls(first.visible_shape, first.n_hidden, first.up, first.down, plain=plain)

    def member(self, number: int) -> "Doubled":
        """Member ``number``, whose weight is a view of the group's."""
        return Doubled(self.visible_shape, self.n_hidden, self.up, self.down, plain=self.plain.member(number))

    def initialise(self, std: float, generator: torch.Generator | None = None) -> None:
        """Draw the weight from N(0, std^2)."""
        self.plain.initialise(std, generator)
