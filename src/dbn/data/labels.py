"""From labels as a person wrote them to class numbers."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dbn.errors import DataError


def encode_labels(labels: dict[str, NDArray]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Class numbers by place in the sorted distinct training labels, and the names of the classes.

    Args:
        labels: arrays ``(n,)`` of whole numbers or strings; those of the training images are called ``labels``.

    Raises:
        DataError: the training images have none, another array has labels that they have not, or of another type.
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
