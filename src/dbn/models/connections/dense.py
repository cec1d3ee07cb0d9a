"""The dense connection of every visible with every hidden unit, and a group of such connections."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dbn.machine.products import matmul
from dbn.models.connections.base import Connection
from dbn.models.connections.bfloat16 import Bfloat16
from dbn.models.connections.matrix import MatrixConnection
from dbn.models.gradients import gradient_of


class Dense(MatrixConnection):
    r"""A matrix ``W`` ``(n_visible, n_hidden)``, with the interaction energy :math:`-v^T W h`.

    A subclass whose matrix is a function of the weight, such as a masked one, overrides :meth:`matrix` and
    :meth:`write_gradient`.

    Args:
        visible_shape: shape of the visible units.
        n_hidden: number of hidden units.
    """

    kind: ClassVar[str] = "dense"

    def __init__(self, visible_shape: Sequence[int], n_hidden: int) -> None:
        super().__init__(visible_shape, (n_hidden,))
        self.weight = nn.Parameter(torch.zeros(self.n_visible, n_hidden))

    def matrix(self) -> Tensor:
        """The weight."""
        return self.weight

    def write_gradient(self, v: Tensor, h: Tensor, state_weights: Tensor) -> None:
        r""":math:`\sum_s w_s v_s h_s^T`, in one product for the states of both phases."""
        matmul(v.T, h.mul_(state_weights.unsqueeze(-1)), gradient_of(self.weight))

    def write_weighted_gradient(self, v: Tensor, weighted_h: Tensor) -> None:
        """See :meth:`Connection.write_weighted_gradient`; a subclass's gradient may differ."""
        if type(self) is Dense:
            matmul(v.T, weighted_h, gradient_of(self.weight))
        else:
            super().write_weighted_gradient(v, weighted_h)

    @property
    def can_be_centered(self) -> bool:
        """Not for subclasses: their gradient may differ."""
        return type(self) is Dense

    @property
    def precisions(self) -> tuple[str, ...]:
        """Without ``bf16`` for subclasses: their gradient may differ."""
        return (*super().precisions, "bf16") if type(self) is Dense else super().precisions

    def in_bfloat16(self) -> Connection:
        """See :class:`Bfloat16`."""
        return Bfloat16(self) if type(self) is Dense else super().in_bfloat16()

    @classmethod
    def group(cls, members: Sequence[Any]) -> Any:
        """See :class:`DenseGroup`. Subclasses are refused: their matrix may differ from their weight."""
        return DenseGroup(members) if cls is Dense else super().group(members)


class DenseGroup(MatrixConnection):
    """Dense connections of one shape: small products take a fraction of the time when they are computed as a batch.

    The weight is ``(members, n_visible, n_hidden)``; states and fields are ``(members, batch, n)``.

    Args:
        connections: the members; their weights are copied.
    """

    def __init__(self, connections: Sequence[Dense]) -> None:
        super().__init__(connections[0].visible_shape, connections[0].hidden_shape)
        self.weight = nn.Parameter(torch.stack([connection.weight.detach() for connection in connections]))
        self.members = (len(connections),)

    def matrix(self) -> Tensor:
        """The weights."""
        return self.weight

    def write_gradient(self, v: Tensor, h: Tensor, state_weights: Tensor) -> None:
        """Gradient of each member, from states ``(2, members, batch, n)``."""
        self.write_weighted_gradient(v, h.mul_(state_weights.unsqueeze(-1)))

    def write_weighted_gradient(self, v: Tensor, weighted_h: Tensor) -> None:
        """See :meth:`Connection.write_weighted_gradient`."""
        torch.bmm(v[0].mT, weighted_h[0], out=gradient_of(self.weight)).baddbmm_(v[1].mT, weighted_h[1])

    @property
    def can_be_centered(self) -> bool:
        """Yes."""
        return True

    @property
    def precisions(self) -> tuple[str, ...]:
        """All."""
        return (*super().precisions, "bf16")

    def in_bfloat16(self) -> Connection:
        """See :class:`Bfloat16`."""
        return Bfloat16(self)

    def member(self, number: int) -> Dense:
        """Member ``number``, whose weight is a view of the group's."""
        member = Dense(self.visible_shape, self.n_hidden)
        member.weight = nn.Parameter(self.weight.detach()[number])
        return member
