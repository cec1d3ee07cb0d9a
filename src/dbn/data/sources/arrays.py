"""The user's images in a file of named arrays: assign arrays to roles and build a source."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dbn.data.image_weights import checked_weights
from dbn.data.source import COUNTS, Source
from dbn.data.split.label_subset import encode_labels, normalise_labels
from dbn.errors import DataError, SettingError

log = logging.getLogger(__name__)

ROLES = ("images", "labels", "test_images", "test_labels", "validation_images", "validation_labels")
"""Roles of arrays, which are also the default names of the arrays."""
WEIGHTS = "weights"
"""Role of the training images' weights, an array that has no default name."""


@dataclass(frozen=True)
class ArrayHeader:
    """Shape and type of an array in a file.

    Attributes:
        shape: of the array.
        kind: type of its values, as the file format names it.
        numeric: whether values are numbers.
        matlab: vectors may be rows, and the last dimension may count the images.
    """

    shape: tuple[int, ...]
    kind: str
    numeric: bool
    matlab: bool = False

    def __str__(self) -> str:
        return f"{self.shape} {self.kind}"

    @property
    def may_be_images(self) -> bool:
        """Whether its shape and type can be those of images."""
        return self.numeric and len(self.shape) in (2, 3, 4) and math.prod(self.shape[1:]) > 1 and self.shape[0] > 1

    def may_label(self, images: "ArrayHeader") -> bool:
        """Whether its shape is that of labels of ``images``."""
        counts = {images.shape[0], images.shape[-1]} if self.matlab else {images.shape[0]}
        return any(self.shape in ((n,), (n, 1)) or (self.matlab and self.shape == (1, n)) for n in counts)


def choose(path: Path, found: Mapping[str, ArrayHeader], names: Mapping[str, str | None]) -> dict[str, str]:
    """Assign the arrays of a file to roles.

    Args:
        path: of the file, for messages.
        found: arrays of the file by name.
        names: for each of :data:`ROLES`, and for :data:`WEIGHTS`, the name of its array; None: unused. An array with
            the default name may be missing, except ``images``.

    Returns:
        Name of the array by role, for the arrays that exist.

    Raises:
        SettingError: ``images`` is None.
        DataError: an array is missing. The message lists the arrays of the file and, if it is clear, the setting to
            use.
    """
    if names["images"] is None:
        raise SettingError(f"data.images=null: say which array of {path} holds the images.{_advice(found, names)}")
    chosen = {}
    for role in (*ROLES, WEIGHTS):
        wanted = names.get(role)
        if wanted is None:
            continue
        name = str(wanted)
        if name in found:
            chosen[role] = name
        elif role in ("images", WEIGHTS) or name != role:
            said = "" if name == role == "images" else f"data.{role}={name}: "
            there = ", ".join(f"{key} {own}" for key, own in found.items()) or "nothing"
            advice = _advice(found, names) if role == "images" else f" Set data.{role} to one of these, or to null."
            raise DataError(f"{said}{path} has no array {name!r}, only: {there}.{advice}")
    unused = [f"{key} {own}" for key, own in found.items() if key not in chosen.values()]
    if unused:
        log.info("%s: not used: %s; data.labels=<name> and the like name arrays", path, ", ".join(unused))
    return chosen


def _advice(found: Mapping[str, ArrayHeader], names: Mapping[str, str | None]) -> str:
    plausible = [key for key, own in found.items() if own.may_be_images]
    if not plausible:
        return " None of them can be images. Save them with np.savez(path, images=...)."
    if len(plausible) > 1:
        roles = ", ".join(f"data.{role}" for role in ROLES[1:])
        return f" Set data.images to the training images, one of {', '.join(plausible)}; {roles} name the others."
    (images,) = plausible
    labels = [key for key, own in found.items() if key != images and own.may_label(found[images])]
    settings = [setting("images", images)]
    if len(labels) == 1 and names.get("labels") not in found:
        settings.append(setting("labels", labels[0]))
    return f" Only {images} can be images: set {' '.join(settings)}."


def setting(role: str, name: str) -> str:
    """``data.images=arr_0``, quoted for a shell if necessary."""
    unquoted = name.replace("_", "").isalnum() and name.isascii() and not name.isdigit()
    return f"data.{role}={name}" if unquoted else f"'data.{role}=\"{name}\"'"


def source_of(
    path: Path, arrays: Mapping[str, NDArray], names: Mapping[str, str], *, maximum: float | str | None, name: str
) -> Source:
    """Build a source from arrays by role.

    Args:
        path: of the file, for messages.
        arrays: by role; images in the layouts of :func:`dbn.data.npz`.
        names: of the arrays in the file, by role, for messages.
        maximum: stored value that stands for 1.0, "counts", or None.
        name: name of the data.

    Raises:
        DataError: an array has a wrong shape or type, or does not match the others.
        SettingError: ``maximum`` is neither a positive number nor "counts".
    """
    renamed = ", ".join(f"{role}={own}" for role, own in names.items() if role != own)
    origin = f"{path}{f' ({renamed})' if renamed else ''}"
    try:
        images = {role: as_pictures(role, array) for role, array in arrays.items() if role.endswith("images")}
        labels = {role: normalise_labels(role, array) for role, array in arrays.items() if role.endswith("labels")}
        tensors = _tensors(images)
        numbers, classes = encode_labels(labels)
        return Source(
            name=name,
            train_images=tensors["images"],
            train_labels=numbers.get("labels"),
            test_images=tensors.get("test_images"),
            test_labels=numbers.get("test_labels"),
            validation_images=tensors.get("validation_images"),
            validation_labels=numbers.get("validation_labels"),
            train_weights=_weights(arrays, len(tensors["images"])),
            classes=classes,
            maximum=None if maximum == COUNTS else maximum,  # type: ignore[arg-type]  # other texts are refused
            counts=maximum == COUNTS,
            origin=origin,
        )
    except DataError as error:
        raise DataError(f"{origin}: {error}") from error


def _weights(arrays: Mapping[str, NDArray], n: int) -> Tensor | None:
    """Weights ``(n,)`` of the training images; None without such an array."""
    found = arrays.get(WEIGHTS)
    return None if found is None else weights_of(found, n, WEIGHTS)


def weights_of(array: NDArray, n: int, what: str) -> Tensor:
    """Weights ``(n,)`` float32 of images from an array ``(n,)`` or ``(n, 1)`` of numbers from 0.

    Raises:
        DataError: there are others; the message starts with ``what``.
    """
    if array.dtype.kind not in "buif":
        raise DataError(f"{what} are of type {array.dtype}. Save numbers from 0.")
    flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    return checked_weights(torch.from_numpy(flat.astype(np.float64)), n, what)


def as_pictures(role: str, array: NDArray) -> NDArray:
    """Images in one of the layouts of :func:`dbn.data.npz` as ``(n, channels, height, width)``."""
    if array.dtype.kind not in "buif":
        raise DataError(f"{role} are of type {array.dtype}. Save them as uint8 or float32.")
    shape = picture_shape(array.shape, f"{role} have shape")
    return array.transpose(0, 3, 1, 2) if array.ndim == 4 else array.reshape(len(array), *shape)


def picture_shape(shape: tuple[int, ...], what: str) -> tuple[int, int, int]:
    """Channels, height and width of images in an array of ``shape``, one of the layouts of :func:`dbn.data.npz`.

    Raises:
        DataError: another layout; the message starts with ``what`` and the shape.
    """
    if 0 in shape or len(shape) not in (2, 3, 4):
        raise DataError(
            f"{what} {shape}. Use (n, height, width), (n, height, width, channels) or (n, features), with at least one "
            "image."
        )
    if len(shape) == 4:
        if shape[3] > 4:
            raise DataError(
                f"{what} {shape}, which would make {shape[3]} channels. Channels come last: (n, height, width, "
                "channels), 1 to 4 of them."
            )
        return shape[3], shape[1], shape[2]
    if len(shape) == 3:
        return 1, shape[1], shape[2]
    side = math.isqrt(shape[1])
    return (1, side, side) if side * side == shape[1] else (1, 1, shape[1])


def _tensors(images: Mapping[str, NDArray]) -> dict[str, Tensor]:
    """Whole numbers as uint8 if those of all splits lie in 0 to 255, else as float32; other numbers as float32.

    If some splits hold whole numbers and others do not, :class:`Source` refuses their different types.
    """
    whole = {role: array for role, array in images.items() if array.dtype.kind in "bui"}
    bytes_will_do = all(array.dtype == np.uint8 or fits_bytes(array) for array in whole.values())
    tensors = {}
    for role, array in images.items():
        dtype = np.uint8 if role in whole and bytes_will_do else np.float32
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which Source refuses by name
            tensors[role] = torch.from_numpy(np.array(array, dtype=dtype, order="C"))
    return tensors


def fits_bytes(whole: NDArray) -> bool:
    """Whether whole numbers lie between 0 and 255."""
    return bool(whole.dtype == np.bool_ or (whole.min() >= 0 and whole.max() <= 255))
