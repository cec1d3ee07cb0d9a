"""Weights of rows, ``sample_weight``, in the training of RBMs."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import _check_sample_weight
from torch import Tensor

from dbn.errors import DataError


def weighted_rows(X: Any, sample_weight: Any) -> tuple[Any, Tensor | None, NDArray[np.intp] | slice]:
    """The rows that have a weight, their weights, and their places.

    Args:
        X: validated rows ``(n_samples, n_features)``, dense or sparse.
        sample_weight: ``(n_samples,)`` numbers from 0; None: all rows weigh the same.

    Returns:
        The rows of positive weight, these weights ``(n,)`` float32 and the numbers of the rows; all rows, None and the
        slice of all without ``sample_weight``.

    Raises:
        ValueError: a weight is no finite number, or their shape is another one.
        DataError: a weight is negative, or all are 0.
    """
    if sample_weight is None:
        return X, None, slice(None)
    weights: NDArray[np.float64] = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if (weights < 0).any():
        raise DataError(f"sample_weight holds {weights.min():g}. Give numbers from 0.")
    kept = np.flatnonzero(weights > 0)
    if not len(kept):
        raise DataError("sample_weight: the weights of all rows are zero. Give some rows a positive one.")
    return X if len(kept) == len(weights) else X[kept], torch.from_numpy(weights[kept]).float(), kept
