"""A connection whose float32 products are rounded to TF32 on a GPU, for training."""

from torch import Tensor

from dbn.machine.products import TF32
from dbn.models.connections.base import Connection
from dbn.models.linear import WeightLayer


class TF32Products(Connection):
    """Wraps any connection, and computes its products with factors rounded to TF32.

    Everything is in float32 in memory; sums are float32 too. Outside of these products torch's setting is untouched.

    Args:
        connection: the connection, whose weight is shared.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection.visible_shape, connection.hidden_shape)
        self.connection = connection
        self.weight = connection.weight
        self.members = connection.members
        self.positions = connection.positions
        self.fan_in_dimensions = connection.fan_in_dimensions

    @property
    def operations(self) -> int:
        """As for the wrapped connection."""
        return self.connection.operations

    def refresh(self) -> None:
        """As for the wrapped connection."""
        self.connection.refresh()

    def hidden_field(self, v: Tensor, out: Tensor | None = None) -> Tensor:
        """As for the wrapped connection, in TF32."""
        with TF32():
            return self.connection.hidden_field(v, out)

    def visible_field(self, h: Tensor, out: Tensor | None = None) -> Tensor:
        """As for the wrapped connection, in TF32."""
        with TF32():
            return self.connection.visible_field(h, out)

    def write_gradient(self, v: Tensor, h: Tensor, state_weights: Tensor) -> None:
        """As for the wrapped connection, in TF32."""
        with TF32():
            self.connection.write_gradient(v, h, state_weights)

    def write_weighted_gradient(self, v: Tensor, weighted_h: Tensor) -> None:
        """As for the wrapped connection, in TF32."""
        with TF32():
            self.connection.write_weighted_gradient(v, weighted_h)

    @property
    def can_be_centered(self) -> bool:
        """As for the wrapped connection."""
        return self.connection.can_be_centered

    def center_gradient(
        self, visible_offset: Tensor, hidden_offset: Tensor, visible_sum: Tensor, hidden_sum: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As for the wrapped connection, in float32."""
        return self.connection.center_gradient(visible_offset, hidden_offset, visible_sum, hidden_sum)

    def encoder(self, bias: Tensor) -> WeightLayer:
        """The encoder of the wrapped connection."""
        return self.connection.encoder(bias)

    def decoder(self, bias: Tensor) -> WeightLayer:
        """The decoder of the wrapped connection."""
        return self.connection.decoder(bias)
