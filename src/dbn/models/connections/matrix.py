"""Connections that multiply states with a matrix."""

from abc import abstractmethod

import torch
from torch import Tensor

from dbn.machine.products import matmul
from dbn.models.connections.base import Connection
from dbn.models.gradients import gradient_of
from dbn.models.linear import Linear, WeightLayer


class MatrixConnection(Connection):
    """A connection that multiplies states with a matrix."""

    fan_in_dimensions = (-2,)

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

    def center_gradient(
        self, visible_offset: Tensor, hidden_offset: Tensor, visible_sum: Tensor, hidden_sum: Tensor
    ) -> tuple[Tensor, Tensor]:
        r"""See :meth:`Connection.center_gradient`: less :math:`\mu \sum_s w_s h_s^T + \sum_s w_s v_s \lambda^T`."""
        if not self.can_be_centered:
            return super().center_gradient(visible_offset, hidden_offset, visible_sum, hidden_sum)
        gradient = gradient_of(self.weight)
        of_visible = torch.cat([visible_offset, visible_sum], -2).mT
        of_hidden = torch.cat([hidden_sum, hidden_offset], -2)
        subtract = gradient.baddbmm_ if self.members else gradient.addmm_
        subtract(of_visible, of_hidden, alpha=-1)
        return hidden_offset @ gradient.mT, visible_offset @ gradient

    def encoder(self, bias: Tensor) -> WeightLayer:
        """Linear layer with weights ``W^T``, ``(n_hidden, n_visible)``, and the hidden units' bias."""
        return Linear.holding(self.matrix().T, bias)

    def decoder(self, bias: Tensor) -> WeightLayer:
        """Linear layer with weights ``W``, ``(n_visible, n_hidden)``, and the visible units' bias."""
        return Linear.holding(self.matrix(), bias)
