"""From the user's labels to class numbers."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dbn.errors import DataError


def normalise_labels(where: str, array: NDArray) -> NDArray:
    """Labels as one whole number or string for each image, ``(n,)``.

    Args:
        where: name of the array in messages.
        array: ``(n,)`` or ``(n, 1)``: whole numbers (also as floats such as 1.0), booleans, strings or bytes.

    Raises:
        DataError: labels have another type or shape (such as one-hot), are not finite, not whole, or missing.
    """
    if array.dtype.kind not in "buifUS":
        raise DataError(f"{where} are of type {array.dtype}. Save whole numbers or strings.")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        one_hot = " If they are one-hot, save labels.argmax(1)." if array.ndim == 2 else ""
        raise DataError(
            f"{where} have shape {array.shape}. Each image needs one label: shape (n,), not one-hot.{one_hot}"
        )
    if array.size == 0:
        raise DataError(f"{where} are empty. Save one label per image, or leave them out.")
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8", "backslashreplace")
    return _whole(where, array) if array.dtype.kind == "f" else array


def _whole(where: str, array: NDArray) -> NDArray[np.int64]:
    """Floating-point labels that are whole numbers, as integers."""
    missing = ~np.isfinite(array)
    if missing.any():
        raise DataError(
            f"{where} hold NaN or infinite values: {int(missing.sum())} of {len(array)}, the first is that of image "
            f"{int(missing.argmax())} (counted from 0). Leave out the images that have no label, or the labels."
        )
    broken = (array != np.round(array)) | (np.abs(array) >= 2.0**63)
    if broken.any():
        raise DataError(
            f"{where} hold {array[broken][0].item()!r}, the label of image {int(broken.argmax())} (counted from 0), "
            "which is no class number. Save whole numbers or strings."
        )
    return array.astype(np.int64)


def encode_labels(labels: dict[str, NDArray]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Class numbers, which index the sorted distinct training labels, and names of the classes.

    Args:
        labels: arrays from :func:`normalise_labels` by role; ``labels`` are those of the training images.

    Raises:
        DataError: training labels are missing, or another array has labels of another type or of other classes.
    """
    if not labels:
        return {}, ()
    if "labels" not in labels:
        raise DataError(f"there are {min(labels)} but no labels. Label the training images too, or neither.")
    values = np.unique(labels["labels"])
    for key, array in labels.items():
        if (array.dtype.kind == "U") != (values.dtype.kind == "U"):
            raise DataError(f"labels are {values.dtype}, but {key} {array.dtype}. Save both as numbers or as strings.")
        unseen = array[~np.isin(array, values)]
        if unseen.size:
            raise DataError(
                f"{key} hold {unseen[0].item()!r}, which no training image has (labels hold {len(values)} classes). "
                "Add training images of that class, or leave it out."
            )
    numbers = {key: torch.from_numpy(np.searchsorted(values, array)).long() for key, array in labels.items()}
    return numbers, tuple(str(value) for value in values.tolist())
