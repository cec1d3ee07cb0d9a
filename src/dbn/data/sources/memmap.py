"""The user's images in .npy files that may be larger than memory."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dbn.data.images import Images
from dbn.data.sources.arrays import picture_shape, weights_of
from dbn.data.split.label_subset import encode_labels, normalise_labels
from dbn.data.streamed.images import StreamedImages
from dbn.data.streamed.npy import NpyFile
from dbn.data.streamed.rows import Rows
from dbn.data.streamed.source import StreamedSource
from dbn.data.streamed.windows import WINDOW_MIB, Layout
from dbn.errors import DataError
from dbn.settings import check_number

LABEL_FILES = ("labels", "test_labels", "validation_labels")


def memmap(
    path: str | Path | None, maximum: float | None = None, window: float = WINDOW_MIB, name: str = "memmap",
    weights: str | None = None,
) -> StreamedSource:  # fmt: skip
    """Images from a folder of files written by :func:`numpy.save` in C order; training images are streamed.

    The files:

    - ``images.npy``: numbers or booleans, ``(n, height, width)``, ``(n, height, width, channels)`` or flat,
      ``(n, features)``, taken for square pictures if ``features`` is a square number, else for single rows. Types
      other than uint8 and float32 are converted while reading;
    - ``labels.npy`` (optional): ``(n,)``, whole numbers or strings; the classes are their sorted distinct values.
      Labels are kept in memory, 8 bytes each;
    - ``test_images.npy``, ``validation_images.npy`` and their labels ``test_labels.npy``, ``validation_labels.npy``
      (optional): in the same formats, but kept in memory.

    Args:
        path: of the folder.
        maximum: stored value that stands for 1.0; None: inferred, see :mod:`dbn.data.value_of_one`. Before
            training, the values of held-out images and of a thousand training images are checked; the others when they
            are read.
        window: MiB of training images that are read at once and shuffled among each other. Memory holds two windows.
        name: name of the data in messages and results.
        weights: name of a file in the folder, ``weights`` of ``weights.npy``, with the training images' weights
            ``(n,)``, numbers from 0: how much each counts in training; None: they have none.

    Raises:
        DataError: a file is missing, damaged, or has wrong content; see :class:`NpyFile`. NaN in training images, and
            values above ``maximum`` that were not checked before, are found only when they are read.
        SettingError: ``maximum`` or ``window`` is not a positive number.
    """
    check_number("data.window", window, low=0, above=True)
    if maximum is not None:
        check_number("data.maximum", maximum, low=0, above=True)
    if not path:
        raise DataError(f"data.path is not set: data={name} needs the path of a folder with images.npy in it.")
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder. Set data.path to the folder with images.npy in it.")
    files = {split: folder / f"{prefix}images.npy" for split, prefix in PREFIXES.items()}
    train = _rows(files["train"])
    labels = {key: _labels(folder / f"{key}.npy") for key in LABEL_FILES if (folder / f"{key}.npy").exists()}
    try:
        numbers, classes = encode_labels(labels)
    except DataError as error:
        raise DataError(f"{folder}: {error}") from error
    images = {}
    for split, prefix in PREFIXES.items():
        number = numbers.get(f"{prefix}labels")
        rows = train if split == "train" else _rows(files[split], like=train) if files[split].exists() else None
        _check_counts(folder, prefix, rows, None if number is None else len(number), labelled=bool(classes))
        if rows is not None:
            images[split] = StreamedImages.of(rows, number, Layout(rows.file.row_bytes, int(window * 2**20)))
    if weights is not None:
        images["train"] = images["train"].weighted(_weights(folder, weights, len(train)))
    return StreamedSource(
        name=name,
        train=images["train"],
        test=_in_memory(images.get("test")),
        validation=_in_memory(images.get("validation")),
        shape=train.shape,
        classes=classes,
        maximum=maximum,
        label_file=str(folder / "labels.npy"),
    )


PREFIXES = {"train": "", "test": "test_", "validation": "validation_"}


def _rows(path: Path, like: Rows | None = None) -> Rows:
    """The images of a file, which must have the type and shape of the training images ``like``."""
    file = NpyFile.open(path)
    if file.dtype.kind not in "buif":
        raise DataError(f"{path} holds {file.dtype}. Save numbers: uint8 or float32.")
    shape = picture_shape(file.shape, f"{path} holds an array of shape")
    if like is not None and (file.dtype, shape) != (like.file.dtype, like.shape):
        raise DataError(
            f"{path} holds {file.dtype} images of {shape} (channels, height, width), but {like.file.path} holds "
            f"{like.file.dtype} of {like.shape}. Save both in the same way."
        )
    return Rows(file, shape, torch.empty(0, dtype=torch.int64))


def _labels(path: Path) -> NDArray:
    return normalise_labels(str(path), _whole(path))


def _weights(folder: Path, name: str, n: int) -> Tensor:
    """Weights ``(n,)`` of the training images from the folder's file of this name."""
    path = folder / f"{name.removesuffix('.npy')}.npy"
    if not path.is_file():
        there = ", ".join(sorted(own.stem for own in folder.glob("*.npy")))
        raise DataError(f"data.weights={name}: there is no {path}. Set it to one of {there}, or to null for none.")
    return weights_of(_whole(path), n, str(path))


def _whole(path: Path) -> NDArray:
    """The array in a file, in memory."""
    file = NpyFile.open(path)
    array = np.empty(file.shape, file.dtype)
    with file.unbuffered() as opened:
        file.read(opened, 0, array)
    return array


def _check_counts(folder: Path, prefix: str, rows: Rows | None, n_labels: int | None, *, labelled: bool) -> None:
    """Raise :class:`DataError` unless images and labels of a split match."""
    images, labels = folder / f"{prefix}images.npy", folder / f"{prefix}labels.npy"
    if rows is None:
        if n_labels is not None:
            raise DataError(f"{labels} is there, but {images} is not. Add the images, or take the labels away.")
        return
    if n_labels is None:
        if labelled:
            raise DataError(
                f"{labels} is missing, but the training images have labels. Add it, or take {images} away: then such "
                "images are taken out of the training images."
            )
    elif n_labels != len(rows):
        raise DataError(
            f"{labels} holds {n_labels} labels, but {images} holds {len(rows)} images. Each image needs one label."
        )


def _in_memory(images: StreamedImages | None) -> Images | None:
    return None if images is None else images.take(torch.arange(len(images)))
