"""Choice of the precision of matrix products: float32, or bfloat16 with float32 weights, sums and units."""

import torch

from dbn.machine.processor import processor_flags
from dbn.settings import check_choice

PRECISIONS = ("auto", "float32", "bf16")
SMALLEST_PRODUCT = 5_000_000
"""Multiplications per product (batch x inputs x outputs) from which bfloat16 outweighs the cost of casting.

Measured on a processor with AVX512-BF16, one and two threads: steps of contrastive divergence break even at about 4
million, a network's layers at 4 to 7 million; at 0.6 million bfloat16 is a third to half slower, at 25 million a third
faster.
"""


def choose_precision(wanted: str, product: int, device: torch.device, possible: bool = True) -> str:
    """``float32`` or ``bf16`` for a layer; ``auto`` is decided by machine and sizes, not by timing.

    Args:
        wanted: ``float32``, ``bf16``, or ``auto``: bfloat16 if the device supports it and the layer is large enough.
        product: multiplications in one of the layer's matrix products: batch x inputs x outputs.
        device: training device.
        possible: whether the layer supports bfloat16.

    Raises:
        SettingError: ``wanted`` is none of these.
    """
    check_choice("precision", wanted, PRECISIONS)
    if wanted != "auto":
        return wanted
    return "bf16" if possible and product >= SMALLEST_PRODUCT and has_bfloat16(device) else "float32"


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device has hardware support for bfloat16 products."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    return not processor_flags().isdisjoint({"amx_bf16", "avx512_bf16"})
