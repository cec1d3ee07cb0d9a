"""The user's images as arrays in a MATLAB file."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dbn.data.source import Source
from dbn.data.sources.arrays import ROLES, WEIGHTS, ArrayHeader, choose, source_of
from dbn.data.sources.sparse import densified
from dbn.errors import DataError, SettingError, UserError

log = logging.getLogger(__name__)

NUMERIC = {"double", "single", "logical", "sparse", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}  # fmt: skip  # noqa: E501
"""MATLAB's classes of numbers."""
HDF5 = b"\x89HDF\r\n\x1a\n"
"""Signature of HDF5 files, as which version 7.3 is stored."""


def mat(
    path: str | Path | None,
    maximum: float | str | None = None,
    name: str = "mat",
    *,
    images_last: bool | None = None,
    images: str = "images",
    labels: str | None = "labels",
    test_images: str | None = "test_images",
    test_labels: str | None = "test_labels",
    validation_images: str | None = "validation_images",
    validation_labels: str | None = "validation_labels",
    weights: str | None = None,
) -> Source:
    """Images from the arrays of a MATLAB file, version 4 to 7.2 (``save('mine.mat', 'images', 'labels', '-v7')``).

    Arrays and arguments are those of :func:`dbn.data.npz`, with these additions: labels may be rows or columns of
    numbers, character arrays, or cell arrays; matrices may be sparse; the images may be the last dimension,
    ``(height, width, n)``, as is usual in MATLAB. Flat images ``(n, features)`` are read in numpy's order, row by row;
    MATLAB flattens by column, which would transpose pictures: save them as ``(height, width, n)`` instead.

    Args:
        path: of the file.
        maximum: stored value that stands for 1.0, as in :func:`dbn.data.npz`.
        name: name of the data in messages and results.
        images_last: whether the last dimension of the images counts them: ``(height, width, n)``,
            ``(height, width, channels, n)`` or ``(features, n)``. None: the dimension, first or last, whose length is
            the number of labels; if that is ambiguous, the first of two dimensions, and an error for more.
        images: name of the array.
        labels: name of the array; None: unused. An array with the default name may be missing.
        test_images: likewise.
        test_labels: likewise.
        validation_images: likewise.
        validation_labels: likewise.
        weights: name of the array of the training images' weights ``(n,)``, numbers from 0: how much each counts in
            training; None: they have none.

    Raises:
        DataError: the file is missing, damaged, or of version 7.3; an array is missing, has a wrong shape or type, or
            does not match the others; or it is ambiguous which dimension counts the images.
        SettingError: ``maximum`` is not a positive number, or ``images_last`` neither true nor false nor null.
    """
    names = dict(
        zip(
            (*ROLES, WEIGHTS),
            (images, labels, test_images, test_labels, validation_images, validation_labels, weights),
            strict=True,
        )
    )
    if images_last not in (True, False, None):
        raise SettingError(f"data.images_last={images_last!r}: use true, false or null.")
    if not path:
        raise DataError(f"data.path is not set: data={name} needs the path of a .mat file.")
    path = Path(path).expanduser()
    if not path.is_file():
        raise DataError(f"{path} is not a file. Set data.path to the .mat file that holds the images.")
    if path.suffix == ".npz":
        raise DataError(f"{path} is numpy's file. Read it with data=npz.")
    arrays, chosen = _read(path, names)
    n_labels = len(arrays["labels"]) if "labels" in arrays else None
    last = images_last if images_last is not None else _counts_last(path, arrays["images"], n_labels)
    if last:
        arrays = {role: np.moveaxis(own, -1, 0) if role.endswith("images") else own for role, own in arrays.items()}
    return source_of(path, arrays, chosen, maximum=maximum, name=name)


def _read(path: Path, names: dict[str, str | None]) -> tuple[dict[str, NDArray], dict[str, str]]:
    """Arrays by role, and names of the arrays by role."""
    import scipy.io  # here: a slow import that few data sets need
    import scipy.sparse

    try:
        with path.open("rb") as file:
            start = file.read(520)
        if HDF5 in (start[:8], start[512:]):  # without MATLAB's header of 512 bytes, or with it
            raise NotImplementedError
        found = {
            key: ArrayHeader(tuple(shape), kind, kind in NUMERIC, matlab=True)
            for key, shape, kind in scipy.io.whosmat(path)
        }
        chosen = choose(path, found, names)
        read: dict[str, Any] = scipy.io.loadmat(path, variable_names=list(chosen.values()))
    except UserError:
        raise
    except NotImplementedError as error:
        raise DataError(
            f"{path} is a MATLAB file of version 7.3 (HDF5), which is not read. Save it in MATLAB with "
            "save('mine.mat', 'images', 'labels', '-v7'), or in Python with numpy.savez for data=npz."
        ) from error
    except Exception as error:  # scipy raises various types for damaged files
        raise DataError(f"{path} is damaged or not a MATLAB file ({error}). Save or copy it again.") from error
    arrays = {}
    for role, key in chosen.items():
        value = read[key]
        if scipy.sparse.issparse(value):
            value = densified(path, value)
        arrays[role] = _labels(value) if role.endswith("labels") or role == WEIGHTS else value
    return arrays, chosen


def _labels(array: NDArray) -> NDArray:
    """Labels ``(n,)`` from a row or column (MATLAB has no one-dimensional arrays); strings without padding."""
    if array.dtype == object:
        cells = array.reshape(-1).tolist()
        if all(isinstance(cell, np.ndarray) and cell.dtype.kind == "U" and cell.size <= 1 for cell in cells):
            return np.array([str(cell.item()) if cell.size else "" for cell in cells])
        return array
    if array.dtype.kind == "U":
        return np.char.rstrip(array)
    return array.reshape(-1) if array.ndim == 2 and 1 in array.shape else array


def _counts_last(path: Path, images: NDArray, n_labels: int | None) -> bool:
    """Whether the last dimension counts the images, see :func:`mat`."""
    first, last = images.shape[0], images.shape[-1]
    if n_labels is not None and (first == n_labels) != (last == n_labels):
        return bool(last == n_labels)
    if images.ndim < 3:
        return False
    raise DataError(
        f"{path}: images have shape {images.shape}: are these {last} images of {_shape(images.shape[:-1])}, or {first} "
        f"of {_shape(images.shape[1:])}? Set data.images_last=true for the former, false for the latter."
    )


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
