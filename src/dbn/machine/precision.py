"""Choice of the precision of matrix products: float32, bfloat16 or TF32, with float32 weights, sums and units.

``bf16`` multiplies bfloat16 numbers. ``tf32``, on NVIDIA GPUs, multiplies float32 numbers whose factors the GPU rounds
to 11 significant bits.
"""

from dataclasses import dataclass
from typing import Protocol

import torch

from dbn.errors import SettingError
from dbn.machine.precision_table import Work, line_for
from dbn.machine.processor import processor_kind
from dbn.settings import check_choice

PRECISIONS = ("auto", "float32", "bf16", "tf32")
TF32_CAPABILITY = (8, 0)
"""Compute capability from which NVIDIA's GPUs have TF32 products (Ampere)."""


class HasProducts(Protocol):
    """A connection, or a layer of a network."""

    @property
    def operations(self) -> int:
        """Multiplications per image in one of its products."""

    @property
    def precisions(self) -> tuple[str, ...]:
        """Precisions that it supports, ``float32`` among them."""


@dataclass(frozen=True)
class Choice:
    """A precision, and what decided about it.

    Attributes:
        precision: ``float32``, ``bf16`` or ``tf32``.
        decided_by: the setting, or the line of :mod:`dbn.machine.precision_table`.
    """

    precision: str
    decided_by: str


def choose_precision(wanted: str, layer: HasProducts, batch: int, device: torch.device, work: Work) -> Choice:
    """The precision of a layer's products in training.

    Args:
        wanted: ``float32``, ``bf16``, ``tf32``, or ``auto``, which :mod:`dbn.machine.precision_table` decides.
        layer: the layer.
        batch: images in a minibatch.
        device: training device.
        work: what is trained.

    Raises:
        SettingError: ``wanted`` is none of these, or the layer or the device does not support it.
    """
    check_choice("precision", wanted, PRECISIONS)
    if wanted == "auto":
        return _by_table(layer, batch, device, work)
    if wanted not in layer.precisions:
        raise SettingError(
            f"precision={wanted}: {type(layer).__name__} multiplies in {' or '.join(layer.precisions)} only. "
            "Use precision=float32, or auto."
        )
    if wanted == "tf32":
        check_tf32(device)
    return Choice(wanted, f"precision={wanted}")


def check_tf32(device: torch.device) -> None:
    """Refuse TF32 on a device that does not have it.

    Raises:
        SettingError: the device is no NVIDIA GPU of compute capability 8.0 or more.
    """
    if device.type != "cuda":
        raise SettingError(
            f"precision=tf32: only NVIDIA GPUs have TF32 products, and this run trains on {device.type}. "
            "Use precision=float32, bf16 or auto, or a GPU: trainer=gpu."
        )
    if torch.cuda.get_device_capability(device) < TF32_CAPABILITY:
        raise SettingError(
            f"precision=tf32: {torch.cuda.get_device_name(device)} has no TF32 products (compute capability "
            f"{'.'.join(map(str, torch.cuda.get_device_capability(device)))}; 8.0 is needed). Use precision=float32."
        )


def device_kind(device: torch.device) -> str:
    """Kind of a device in the table: of this processor, or ``CUDA`` and the compute capability."""
    if device.type == "cuda":
        return f"CUDA {'.'.join(map(str, torch.cuda.get_device_capability(device)))}"
    return processor_kind() if device.type == "cpu" else device.type


def _by_table(layer: HasProducts, batch: int, device: torch.device, work: Work) -> Choice:
    kind, product = device_kind(device), batch * layer.operations
    line = line_for(kind, work, product, batch)
    if line is None:
        return Choice("float32", f"no line for {kind}, {work}, {product} multiplications, batch {batch}")
    if line.precision not in layer.precisions:
        return Choice("float32", f"{type(layer).__name__} does not support {line.precision}")
    return Choice(line.precision, str(line))
