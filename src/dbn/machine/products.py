"""Float32 matrix products by the faster of the two libraries for processors that torch brings: MKL and oneDNN.

torch takes float32 products with Intel's MKL. On an AMD processor MKL stays below AVX-512, and oneDNN's kernels take
half its time (measured on Zen 5; on Zen 4 seven to nine tenths). torch hands float32 products to oneDNN where
``torch.backends.mkldnn.matmul.fp32_precision`` allows it to round factors to bfloat16, which it does on processors that
have matrix instructions for that (Intel's AMX) and nowhere else. So oneDNN is used where it computes in full float32,
which is tried out once, and nowhere else.
"""

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor

from dbn.machine.processor import processor_flags, processor_info

SMALLEST_PRODUCT = 1_500_000
"""Multiplications in a product from which oneDNN pays for its dearer call.

Measured on an AMD EPYC (Zen 5), one and two threads: 0.6 million take 1.2 to 1.6 times as long as with MKL, 2 million
two thirds, 4 million half; batched products break even at 1 million.
"""


def matmul(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """:func:`torch.matmul`, by the library that is faster for these sizes on this processor.

    Args:
        a: ``(..., n, k)``.
        b: ``(..., k, m)``.
        out: where to write, ``(..., n, m)``.
    """
    with faster_products(a.numel() * b.shape[-1]):
        return torch.matmul(a, b, out=out)


def faster_products(multiplications: int) -> AbstractContextManager[None]:
    """Within it, float32 products go to the library that is faster for so many multiplications in a product."""
    return OneDNN() if multiplications >= SMALLEST_PRODUCT and onednn_is_faster() else AS_IT_IS


@cache
def onednn_is_faster() -> bool:
    """Whether oneDNN takes float32 products faster than MKL here, and in full float32."""
    return (
        processor_info().get("vendor_id") in AMD
        and "avx512f" in processor_flags()
        and not any(flag.startswith("amx") for flag in processor_flags())
        and hasattr(ONEDNN, "matmul")  # torch 2.9
        and ONEDNN.is_available()
        and keeps_float32()
    )


def keeps_float32() -> bool:
    """Whether a product that oneDNN takes keeps every bit of float32 factors."""
    fine = 1 + 2**-20 * torch.arange(128 * 128.0).view(128, 128)  # bfloat16 would keep 8 of the 24 bits
    with OneDNN():
        return torch.equal(fine @ torch.eye(128), fine)


class OneDNN(AbstractContextManager[None]):
    """Within it torch hands float32 products to oneDNN, whatever their size; afterwards its setting is as before."""

    __slots__ = ("before",)

    def __enter__(self) -> None:
        self.before: str = ONEDNN.matmul.fp32_precision
        ONEDNN.matmul.fp32_precision = "bf16"

    def __exit__(self, *_: object) -> None:
        ONEDNN.matmul.fp32_precision = self.before


ONEDNN: Any = torch.backends.mkldnn
AS_IT_IS = nullcontext()
AMD = ("AuthenticAMD", "HygonGenuine")
