"""A dense connection with bfloat16 products, for training."""

import torch
from torch import Tensor

from dbn.machine.kernels.copies import is_kept, keep_copy
from dbn.models.connections.base import Connection
from dbn.models.connections.matrix import MatrixConnection
from dbn.models.gradients import gradient_of
from dbn.models.linear import WeightLayer

WRITES_FLOAT32 = "dtype_out" in torch.ops.aten.mm.overloads()
"""Whether a GPU's products of bfloat16 factors can write float32: torch 2.8."""


class Bfloat16(Connection):
    """Wraps a dense connection, or a group of them, and computes its products in bfloat16.

    Products multiply bfloat16 numbers, accumulate in float32 and are rounded to bfloat16 once, unless the device can
    write the sums themselves. Gradients, weight and optimiser stay in float32, and so do fields, means and samples
    unless they are in bfloat16 already, where kernels write them so. :meth:`refresh` updates the bfloat16 copy of the
    weight.

    Args:
        dense: the connection, whose weight is shared.
    """

    def __init__(self, dense: MatrixConnection) -> None:
        super().__init__(dense.visible_shape, dense.hidden_shape)
        self.dense = dense
        self.weight = dense.weight
        self.members = dense.members
        self.fan_in_dimensions = dense.fan_in_dimensions
        self.buffers_by_shape: dict[tuple[str, torch.Size], Tensor] = {}
        self.matrix16 = dense.matrix().detach().bfloat16()
        keep_copy(self.weight, self.matrix16)

    @property
    def operations(self) -> int:
        """As for the wrapped connection."""
        return self.dense.operations

    def refresh(self) -> None:
        """Round the weight to bfloat16, unless the optimiser did; called before each step."""
        if not is_kept(self.weight, self.matrix16):
            self.matrix16.copy_(self.dense.matrix())

    @property
    def factor_dtype(self) -> torch.dtype:
        """bfloat16."""
        return torch.bfloat16

    def hidden_field(self, v: Tensor, out: Tensor | None = None) -> Tensor:
        """``v @ W``."""
        return self._product("up", self._cast("v", v), self.matrix16, out)

    def visible_field(self, h: Tensor, out: Tensor | None = None) -> Tensor:
        """``h @ W^T``."""
        return self._product("down", self._cast("h", h), self.matrix16.mT, out)

    def write_gradient(self, v: Tensor, h: Tensor, state_weights: Tensor) -> None:
        """As for the wrapped connection."""
        self.write_weighted_gradient(v, h.mul_(state_weights.unsqueeze(-1)))

    def write_weighted_gradient(self, v: Tensor, weighted_h: Tensor) -> None:
        """As for the wrapped connection."""
        v16, h16 = self._cast_phases("v2", v), self._cast_phases("h2", weighted_h)
        self._product("gradient", v16.mT, h16, gradient_of(self.weight))

    @property
    def can_be_centered(self) -> bool:
        """As for the wrapped connection."""
        return self.dense.can_be_centered

    def center_gradient(
        self, visible_offset: Tensor, hidden_offset: Tensor, visible_sum: Tensor, hidden_sum: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As for the wrapped connection, in float32."""
        return self.dense.center_gradient(visible_offset, hidden_offset, visible_sum, hidden_sum)

    def encoder(self, bias: Tensor) -> WeightLayer:
        """The encoder of the wrapped connection."""
        return self.dense.encoder(bias)

    def decoder(self, bias: Tensor) -> WeightLayer:
        """The decoder of the wrapped connection."""
        return self.dense.decoder(bias)

    def _cast(self, name: str, x: Tensor) -> Tensor:
        return x if x.dtype == torch.bfloat16 else self._buffer(name, x.shape, x.device).copy_(x)

    def _cast_phases(self, name: str, x: Tensor) -> Tensor:
        """Cast to bfloat16; in a group from ``(2, members, batch, n)`` to ``(members, 2 * batch, n)``."""
        if x.dim() == 2:
            return self._cast(name, x)
        x = x.transpose(0, 1)
        return self._buffer(name, x.shape, x.device).copy_(x).flatten(1, 2)

    def _product(self, name: str, a: Tensor, b: Tensor, out: Tensor | None) -> Tensor:
        if out is not None and out.dtype == torch.bfloat16:
            return torch.matmul(a, b, out=out)
        if out is not None and a.is_cuda and WRITES_FLOAT32:
            write = torch.mm if a.dim() == 2 else torch.bmm
            return write(a, b, out_dtype=torch.float32, out=out)
        shape = torch.Size((*a.shape[:-1], b.shape[-1]))
        product = torch.matmul(a, b, out=self._buffer(name, shape, a.device))
        return product.float() if out is None else out.copy_(product)

    def _buffer(self, name: str, shape: torch.Size, device: torch.device) -> Tensor:
        key = (name, shape)
        if key not in self.buffers_by_shape:
            self.buffers_by_shape[key] = torch.empty(shape, dtype=torch.bfloat16, device=device)
        return self.buffers_by_shape[key]
