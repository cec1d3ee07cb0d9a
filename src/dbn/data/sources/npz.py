"""A person's own images, as arrays in one .npz file."""

import math
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dbn.data.labels import encode_labels
from dbn.data.source import Source
from dbn.errors import DataError

KEYS = ("images", "labels", "test_images", "test_labels")


def npz(path: str | Path | None, maximum: float | None = None, name: str = "npz") -> Source:
    """Images from the arrays of a file that :func:`numpy.savez` wrote.

    The arrays:

    - ``images``: ``(n, height, width)``, ``(n, height, width, channels)`` or flat, ``(n, features)``, which is taken
      for a square picture where ``features`` is a square number, else for one row;
    - ``labels`` (may be left out): ``(n,)``, whole numbers or strings; the classes are their distinct values, sorted;
    - ``test_images`` and ``test_labels`` (may be left out): as the above.

    Args:
        path: of the file.
        maximum: stored value that stands for 1.0. None: 1 for floating-point numbers, booleans, and whole numbers
            that are all 0 or 1; else 255, and then whole numbers must lie between 0 and 255.
        name: what the data is called in messages and results.

    Raises:
        DataError: the file is missing, damaged, or holds pickled objects; an array is missing, has a wrong shape or
            type, or does not fit the others.
        SettingError: ``maximum`` is not a positive number.
    """
    if not path:
        raise DataError(f"data.path is not set: data={name} needs the path of an .npz file.")
    path = Path(path).expanduser()
    arrays = _read(path)
    try:
        images = {key: _as_pictures(key, array) for key, array in arrays.items() if key.endswith("images")}
        labels = {key: _check_labels(key, array) for key, array in arrays.items() if key.endswith("labels")}
        tensors = {key: _to_tensor(key, array, any_range=maximum is not None) for key, array in images.items()}
        numbers, classes = encode_labels(labels)
        return Source(
            name=name,
            train_images=tensors["images"],
            train_labels=numbers.get("labels"),
            test_images=tensors.get("test_images"),
            test_labels=numbers.get("test_labels"),
            classes=classes,
            maximum=_natural_maximum(tensors) if maximum is None else maximum,
        )
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _read(path: Path) -> dict[str, NDArray]:
    if not path.is_file():
        raise DataError(f"{path} does not exist. Set data.path to the .npz file that holds the images.")
    try:
        file = np.load(path, allow_pickle=False)  # a pickle could run anything
        if isinstance(file, np.ndarray):
            raise DataError(f"{path} holds a single array (.npy). Save it with np.savez(path, images=...).")
        with file:
            if "images" not in file.files:
                raise DataError(
                    f"{path} has no array 'images', only: {', '.join(file.files) or 'nothing'}. "
                    "Save it with np.savez(path, images=...)."
                )
            return {key: file[key] for key in KEYS if key in file.files}
    except DataError:
        raise
    except ValueError as error:
        raise DataError(
            f"{path} holds pickled objects or is not an .npz file ({error}). Objects are not read, they could run "
            "code: save plain arrays of numbers, and of strings for labels."
        ) from error
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataError(f"{path} is damaged or not an .npz file ({error}). Save or copy it again.") from error


def _as_pictures(key: str, array: NDArray) -> NDArray:
    """``(n, channels, height, width)``."""
    if array.dtype.kind not in "buif":
        raise DataError(f"{key} are of type {array.dtype}. Save them as uint8 or float32.")
    if array.size == 0 or array.ndim not in (2, 3, 4):
        raise DataError(
            f"{key} have shape {array.shape}. Use (n, height, width), (n, height, width, channels) or (n, features), "
            "with at least one image."
        )
    if array.ndim == 4:
        if array.shape[3] > 4:
            raise DataError(
                f"{key} have shape {array.shape}, which would make {array.shape[3]} channels. Channels come last: "
                "(n, height, width, channels), 1 to 4 of them."
            )
        return array.transpose(0, 3, 1, 2)
    if array.ndim == 3:
        return array[:, np.newaxis]
    n, features = array.shape
    side = math.isqrt(features)
    return array.reshape((n, 1, side, side) if side * side == features else (n, 1, 1, features))


def _to_tensor(key: str, array: NDArray, *, any_range: bool) -> Tensor:
    """uint8 for whole numbers, unless they may have any range; else float32."""
    byte = array.dtype.kind == "b" or array.dtype == np.uint8 or (array.dtype.kind in "iu" and not any_range)
    if byte and (array.min() < 0 or array.max() > 255):
        raise DataError(
            f"{key} ({array.dtype}) go from {array.min()} to {array.max()}, but whole numbers are taken for pixels "
            "from 0 to 255. Set data.maximum to the value that stands for 1.0, or save float32."
        )
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which Source refuses by name
        return torch.from_numpy(np.array(array, dtype=np.uint8 if byte else np.float32, order="C"))


def _natural_maximum(images: dict[str, Tensor]) -> float:
    grey = any(tensor.dtype == torch.uint8 and tensor.max() > 1 for tensor in images.values())
    return 255.0 if grey else 1.0


def _check_labels(key: str, array: NDArray) -> NDArray:
    if array.dtype.kind not in "buiUS":
        raise DataError(f"{key} are of type {array.dtype}. Save whole numbers or strings.")
    if array.ndim != 1:
        raise DataError(f"{key} have shape {array.shape}. Each image needs one label: shape (n,), not one-hot.")
    if array.size == 0:
        raise DataError(f"{key} are empty. Save one label per image, or leave them out.")
    return np.char.decode(array, "utf-8", "backslashreplace") if array.dtype.kind == "S" else array
