"""Conversion of sparse matrices to dense images, up to a size limit."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dbn.data.sources.arrays import fits_bytes
from dbn.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import spmatrix

SPARSE_PARTS = {"data", "format", "shape"}
"""Arrays of every file that :func:`scipy.sparse.save_npz` writes."""
DENSE_BYTES = 4 << 30
"""Size limit of a dense matrix in bytes; a larger one should be streamed from a file."""


def dense(path: Path) -> NDArray:
    """The dense matrix ``(n, features)`` of a file written by :func:`scipy.sparse.save_npz`.

    Returns:
        As :func:`densified`.

    Raises:
        DataError: it is too large.
        ValueError: the file holds no sparse matrix.
    """
    from scipy.sparse import load_npz  # here: a slow import that few data sets need

    try:
        return densified(path, load_npz(path))
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"no sparse matrix: {error}") from error


def densified(path: Path, matrix: "spmatrix") -> NDArray:
    """A sparse matrix ``(n, features)`` as a dense one.

    Returns:
        Whole numbers as uint8 if they lie in 0 to 255, else in their own type; other numbers as float32.

    Raises:
        DataError: it is too large.
    """
    matrix = matrix.tocsr()  # sums duplicate entries
    dtype: np.dtype[Any] = np.dtype(np.float32)
    if matrix.dtype.kind in "bui":
        dtype = np.dtype(np.uint8) if matrix.nnz == 0 or fits_bytes(matrix.data) else matrix.dtype
    size = math.prod(matrix.shape) * dtype.itemsize
    if size > DENSE_BYTES:
        raise DataError(
            f"{path} holds a sparse matrix of shape {matrix.shape}, {size / 2**30:.3g} GiB where it is dense, which "
            f"training needs; up to {DENSE_BYTES / 2**30:.3g} GiB are read. Write it to images.npy in a folder, some "
            "rows at a time, and use data=memmap data.path=<folder>: images = numpy.lib.format.open_memmap("
            f"'images.npy', mode='w+', dtype='{dtype}', shape={matrix.shape}), then images[i:j] = "
            "matrix.tocsr()[i:j].toarray()."
        )
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which is refused by name
        return np.asarray(matrix.astype(dtype).toarray())
