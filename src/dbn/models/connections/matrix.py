"""Connections that multiply states with a matrix."""

from abc import abstractmethod

from torch import Tensor

from dbn.machine.products import matmul
from dbn.models.connections.base import Connection
from dbn.models.linear import Linear, WeightLayer


class MatrixConnection(Connection):
    """A connection that multiplies states with a matrix."""

    @property
    def operations(self) -> int:
        """``n_visible * n_hidden``."""
        return self.n_visible * self.n_hidden

    @abstractmethod
    def matrix(self) -> Tensor:
        """The matrix ``(n_visible, n_hidden)``; in a group ``(members, n_visible, n_hidden)``."""

    def hidden_field(self, v: Tensor, out: Tensor | None = None) -> Tensor:
        """``v @ W``."""
        return matmul(v, self.matrix(), out)

    def visible_field(self, h: Tensor, out: Tensor | None = None) -> Tensor:
        """``h @ W^T``."""
        return matmul(h, self.matrix().mT, out)

    def encoder(self, bias: Tensor) -> WeightLayer:
        """Linear layer with weights ``W^T``, ``(n_hidden, n_visible)``, and the hidden units' bias."""
        return Linear.holding(self.matrix().T, bias)

    def decoder(self, bias: Tensor) -> WeightLayer:
        """Linear layer with weights ``W``, ``(n_visible, n_hidden)``, and the visible units' bias."""
        return Linear.holding(self.matrix(), bias)
