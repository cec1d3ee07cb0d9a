"""Float32 matrix products: on a CPU by the faster of torch's two libraries, MKL and oneDNN; on a GPU in TF32 if asked.

By default torch uses Intel's MKL. On AMD processors MKL does not use AVX-512, and oneDNN takes half its time (measured
on Zen 5; on Zen 4 seven to nine tenths). torch passes float32 products to oneDNN if
``torch.backends.mkldnn.matmul.fp32_precision`` allows rounding of the factors to bfloat16; oneDNN does round on
processors with matrix instructions (Intel's AMX), and computes in full float32 on others. So oneDNN is used only where
a test product shows full float32.
"""

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor

from dbn.machine.processor import processor_flags, processor_info

SMALLEST_PRODUCT = 1_500_000
"""Multiplications in a product from which oneDNN outweighs its larger overhead per call.

Measured on an AMD EPYC (Zen 5), one and two threads: 0.6 million take 1.2 to 1.6 times as long as with MKL, 2 million
two thirds, 4 million half; batched products break even at 1 million.
"""


def matmul(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """:func:`torch.matmul` by the library that is faster for these sizes on this processor.

    Args:
        a: ``(..., n, k)``.
        b: ``(..., k, m)``.
        out: destination ``(..., n, m)``.
    """
    multiplications = a.numel() * b.size(-1)
    if multiplications < SMALLEST_PRODUCT:  # entering a context takes as long as the smallest products
        if a.dim() == 2 == b.dim():
            return torch.mm(a, b, out=out)
        return torch.matmul(a, b, out=out)
    with faster_products(multiplications):
        return torch.matmul(a, b, out=out)


def faster_products(multiplications: int) -> AbstractContextManager[None]:
    """Context in which float32 products use the library that is faster for this number of multiplications."""
    return OneDNN() if multiplications >= SMALLEST_PRODUCT and onednn_is_faster() else TORCH_DEFAULT


@cache
def onednn_is_faster() -> bool:
    """Whether oneDNN is faster than MKL on this processor and computes in full float32."""
    return (
        processor_info().get("vendor_id") in AMD
        and "avx512f" in processor_flags()
        and not any(flag.startswith("amx") for flag in processor_flags())
        and hasattr(ONEDNN, "matmul")  # torch 2.9
        and ONEDNN.is_available()
        and keeps_float32()
    )


def keeps_float32() -> bool:
    """Whether oneDNN keeps every bit of float32 factors."""
    fine = 1 + 2**-20 * torch.arange(128 * 128.0).view(128, 128)  # bfloat16 would keep 8 of the 24 bits
    with OneDNN():
        return torch.equal(fine @ torch.eye(128), fine)


class OneDNN(AbstractContextManager[None]):
    """Context in which torch passes float32 products to oneDNN; restores the setting afterwards."""

    __slots__ = ("before",)

    def __enter__(self) -> None:
        self.before: str = ONEDNN.matmul.fp32_precision
        ONEDNN.matmul.fp32_precision = "bf16"

    def __exit__(self, *_: object) -> None:
        ONEDNN.matmul.fp32_precision = self.before


class TF32(AbstractContextManager[None]):
    """Context in which a GPU rounds the factors of float32 products to TF32; restores the setting afterwards."""

    __slots__ = ("before",)

    def __enter__(self) -> None:
        self.before: Any = getattr(CUBLAS, TF32_SETTING)
        setattr(CUBLAS, TF32_SETTING, "tf32" if TF32_SETTING == "fp32_precision" else True)

    def __exit__(self, *_: object) -> None:
        setattr(CUBLAS, TF32_SETTING, self.before)


ONEDNN: Any = torch.backends.mkldnn
CUBLAS: Any = torch.backends.cuda.matmul
TF32_SETTING = "fp32_precision" if hasattr(ONEDNN, "matmul") else "allow_tf32"
"""The setting's name from torch 2.9 on, and before; torch refuses to read the old one where the new one was set."""
TORCH_DEFAULT = nullcontext()
AMD = ("AuthenticAMD", "HygonGenuine")
