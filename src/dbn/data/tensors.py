"""Conversion of tensors and arrays given by the user to tensors of floats; ambiguous types are refused."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dbn.errors import DataError

MATRIX_LIKE = (2, 3, 4)
"""Numbers of dimensions of image arrays: (n, features), (n, height, width), (n, channels, height, width)."""


def as_floats(given: Any, name: str, dtype: torch.dtype = torch.float32) -> Tensor:
    """Convert a tensor or an array of floats, booleans, or whole numbers that are 0 or 1.

    Other whole numbers are refused: whether 255, 16 or another value stands for 1 is ambiguous.

    Args:
        given: tensor or array of any shape; not copied if it has ``dtype`` and its memory layout allows that.
        name: name of the argument in messages.
        dtype: of the result, which stays on the device of a given tensor.

    Raises:
        DataError: it is neither a tensor nor an array, is sparse or masked, or has another type of values.
    """
    if isinstance(given, Tensor):
        if given.layout != torch.strided:
            raise DataError(f"{name} are a sparse tensor ({given.layout}). Make them dense: {name}.to_dense().")
        if given.is_complex():
            raise DataError(f"{name} are complex numbers ({given.dtype}). Give real ones, such as {name}.abs().")
        if not given.is_floating_point() and given.dtype != torch.bool and given.numel():
            low, high = torch.aminmax(given if given.dtype in ORDERED else given.to(torch.int64))
            _check_binary(name, str(given.dtype), int(low), int(high), as_they_are="float()")
        return given.to(dtype)
    if not isinstance(given, np.ndarray):
        raise DataError(
            f"{name} are of type {type(given).__name__}. Give a torch tensor or a numpy array: np.asarray makes one of "
            "a list or a table of numbers."
        )
    if isinstance(given, np.ma.MaskedArray):
        raise DataError(f"{name} are a masked array. Fill in what is masked: {name}.filled(0), say.")
    if given.dtype.kind not in "buif":
        raise DataError(f"{name} are of type {given.dtype}. Give real numbers: {name}.astype('float32'), say.")
    if given.dtype.kind in "ui" and given.size:
        _check_binary(name, str(given.dtype), int(given.min()), int(given.max()), as_they_are="astype('float32')")
    wanted = np.float64 if dtype == torch.float64 else np.float32
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which is refused by name
        array = np.require(given, wanted, ["C", "W"])  # W: torch warns about read-only memory
    return torch.from_numpy(array).to(dtype)


def as_rows(given: Any, name: str) -> Tensor:
    """Features of images, ``(n, n_features)`` float32, contiguous.

    Args:
        given: ``(n, n_features)``, ``(n, height, width)`` or ``(n, channels, height, width)``, see :func:`as_floats`.
        name: name of the argument in messages.

    Raises:
        DataError: wrong number of dimensions, or as :func:`as_floats`.
    """
    features = as_floats(given, name).detach()
    check_dimensions(features, name)
    return features.flatten(1).contiguous()


def check_dimensions(images: Tensor, name: str) -> None:
    """Raise :class:`DataError` unless they are ``(n, n_features)``, ``(n, h, w)`` or ``(n, channels, h, w)``."""
    if images.ndim in MATRIX_LIKE:
        return
    one = f" A single image is {name}.reshape(1, -1)." if images.ndim == 1 else ""
    raise DataError(
        f"{name} have shape {tuple(images.shape)}. Give (images, features), (images, height, width) or (images, "
        f"channels, height, width).{one}"
    )


def as_states(given: Any, like: Tensor, size: int, kind: str) -> Tensor:
    """States of a layer of units, ``(..., size)``, with the dtype and device of ``like``.

    Args:
        given: a tensor on that device, or an array; see :func:`as_floats`.
        like: a parameter of the model.
        size: number of units.
        kind: ``visible`` or ``hidden``, for messages.

    Raises:
        DataError: wrong number of units or device, or as :func:`as_floats`.
    """
    if (
        isinstance(given, Tensor)
        and given.shape[-1:] == (size,)
        and given.dtype == like.dtype
        and given.device == like.device
    ):
        return given  # the usual case takes a microsecond
    states = as_floats(given, f"{kind} states", like.dtype)
    if states.shape[-1:] != (size,):
        flat = f": flatten them, reshape(-1, {size})" if states.ndim and states.shape[1:].numel() == size else ""
        raise DataError(
            f"{kind} states have shape {tuple(states.shape)}, but there are {size} {kind} units. Give (batch, {size})"
            f"{flat}."
        )
    if isinstance(given, Tensor) and states.device != like.device:
        raise DataError(
            f"{kind} states are on {states.device}, the RBM is on {like.device}. Move them: .to({str(like.device)!r})."
        )
    return states.to(like.device)


def _check_binary(name: str, dtype: str, low: int, high: int, as_they_are: str) -> None:
    """Refuse whole numbers beyond 0 and 1."""
    if low < 0 or high > 1:
        divide = f"Divide by it: {name} / {high}, if that is the largest there can be{usual(high)}. Or take"
        raise DataError(
            f"{name} are whole numbers ({dtype}) from {low} to {high}, and nothing says which value stands for 1. "
            f"{divide if high > 1 else 'Take'} them as they are: {name}.{as_they_are}."
        )


def usual(largest: float) -> str:
    """Hint at 255 or 65535, the usual value that stands for 1, if ``largest`` is somewhat smaller; otherwise empty."""
    if 32 < largest < 255:
        return " (255 for 8-bit greys)"
    return " (65535 for 16-bit greys)" if 255 < largest < 65535 else ""


def at_least(value: float) -> str:
    """``value`` rounded up to six digits, to divide by."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 5)
    return f"{math.ceil(value * (1 - 1e-7) / unit) * unit:.6g}"  # float32 has its last digit at 6e-8


ORDERED = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
"""Integer types for which torch computes minimum and maximum on every device."""
