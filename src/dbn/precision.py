"""In which precision matrix products are taken: float32, or bfloat16 with float32 weights, sums and units."""

import torch
from torch import Tensor, nn

from dbn.processor import processor_flags
from dbn.rbm import RBM
from dbn.settings import check_choice

PRECISIONS = ("auto", "float32", "bf16")
SMALLEST_PRODUCT = 5_000_000
"""Multiplications per product (batch x inputs x outputs) from which bfloat16 pays for the casts round it.

Measured on a processor with AVX512-BF16, one and two threads: steps of contrastive divergence break even at about 4
million, a network's layers at 4 to 7 million; at 0.6 million bfloat16 is a third to half slower, at 25 million a third
faster.
"""


def choose_precision(wanted: str, product: int, device: torch.device) -> str:
    """``float32`` or ``bf16`` for a layer; what ``auto`` gives depends on the machine and the sizes, never on a timing.

    Args:
        wanted: ``float32``, ``bf16``, or ``auto``: bfloat16 where this processor has it and the layer is large enough.
        product: multiplications in one of the layer's matrix products: batch x inputs x outputs.
        device: where training runs.

    Raises:
        SettingError: another precision.
    """
    check_choice("precision", wanted, PRECISIONS)
    if wanted != "auto":
        return wanted
    return "bf16" if product >= SMALLEST_PRODUCT and has_bfloat16(device) else "float32"


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 numbers faster than float32 ones."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    return not processor_flags().isdisjoint({"amx_bf16", "avx512_bf16"})


class Bfloat16RBM(RBM):
    """The same RBM, its matrix products taken in bfloat16: shares units and weights with the one it is made from.

    Products multiply bfloat16 numbers, add up in float32 and are rounded to bfloat16 once. Fields, means, draws,
    gradients, weights and the optimiser stay in float32. For training only: likelihoods are the original's.

    Args:
        rbm: the model, in float32.
    """

    def __init__(self, rbm: RBM) -> None:
        nn.Module.__init__(self)
        self.visible, self.hidden, self.weight = rbm.visible, rbm.hidden, rbm.weight
        self.buffers_by_shape: dict[tuple[str, torch.Size], Tensor] = {}
        self.weight16 = rbm.weight.detach().bfloat16()

    def refresh(self) -> None:
        """Take the weights over: before each step."""
        self.weight16.copy_(self.weight)

    def hidden_field(self, v: Tensor, out: Tensor | None = None) -> Tensor:
        """As :meth:`RBM.hidden_field`."""
        return self._product("up", self._cast("v", v), self.weight16, out)

    def visible_field(self, h: Tensor, out: Tensor | None = None) -> Tensor:
        """As :meth:`RBM.visible_field`."""
        return self._product("down", self._cast("h", h), self.weight16.mT, out)

    def statistics(self, v: Tensor, h: Tensor, out: Tensor | None = None) -> Tensor:
        """As :meth:`RBM.statistics`."""
        v16, h16 = self._cast_phases("v2", v), self._cast_phases("h2", h)
        return self._product("statistics", v16.mT, h16, out)

    def _cast(self, name: str, x: Tensor) -> Tensor:
        return self._buffer(name, x.shape, x.device).copy_(x)

    def _cast_phases(self, name: str, x: Tensor) -> Tensor:
        """Of a group, ``(2, members, batch, n)``: as ``(members, 2 * batch, n)``, for one product per member."""
        return self._cast(name, x) if x.dim() == 2 else self._cast(name, x.transpose(0, 1)).flatten(1, 2)

    def _product(self, name: str, a: Tensor, b: Tensor, out: Tensor | None) -> Tensor:
        shape = torch.Size((*a.shape[:-1], b.shape[-1]))
        product = torch.matmul(a, b, out=self._buffer(name, shape, a.device))
        return product.float() if out is None else out.copy_(product)

    def _buffer(self, name: str, shape: torch.Size, device: torch.device) -> Tensor:
        key = (name, shape)
        if key not in self.buffers_by_shape:
            self.buffers_by_shape[key] = torch.empty(shape, dtype=torch.bfloat16, device=device)
        return self.buffers_by_shape[key]
