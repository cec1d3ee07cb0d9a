"""A person's own images, as arrays in one .npz file."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dbn.data.source import Source
from dbn.data.sources.arrays import Found, choose, source_of
from dbn.data.sources.sparse import SPARSE_PARTS, dense
from dbn.data.streamed.npy import read_header
from dbn.errors import DataError, UserError


def npz(
    path: str | Path | None,
    maximum: float | None = None,
    name: str = "npz",
    *,
    images: str = "images",
    labels: str | None = "labels",
    test_images: str | None = "test_images",
    test_labels: str | None = "test_labels",
    validation_images: str | None = "validation_images",
    validation_labels: str | None = "validation_labels",
) -> Source:
    """Images from the arrays of a file that :func:`numpy.savez` wrote.

    The arrays:

    - images: numbers or booleans, ``(n, height, width)``, ``(n, height, width, channels)`` or flat, ``(n, features)``,
      which is taken for a square picture where ``features`` is a square number, else for one row;
    - labels (may be left out): ``(n,)``, whole numbers or strings; the classes are their distinct values, sorted;
    - test images and validation images, and their labels (may be left out): as the above.

    A file that :func:`scipy.sparse.save_npz` wrote is read as the images ``(n, features)``, without labels; images and
    labels together are written with ``numpy.savez(path, images=matrix.toarray(), labels=labels)``.

    Args:
        path: of the file.
        maximum: stored value that stands for 1.0; None: what the images show by themselves, see
            :func:`dbn.data.ranges.value_of_one`.
        name: what the data is called in messages and results.
        images: name of the array.
        labels: name of the array; None: there are none, whatever the file has. An array that is called as its argument
            here may be missing.
        test_images: likewise.
        test_labels: likewise.
        validation_images: likewise.
        validation_labels: likewise.

    Raises:
        DataError: the file is missing, damaged, or holds pickled objects; an array is missing, has a wrong shape or
            type, or does not fit the others; or a sparse matrix would not fit into memory.
        SettingError: ``maximum`` is not a positive number.
    """
    names = {
        "images": images,
        "labels": labels,
        "test_images": test_images,
        "test_labels": test_labels,
        "validation_images": validation_images,
        "validation_labels": validation_labels,
    }
    if not path:
        raise DataError(f"data.path is not set: data={name} needs the path of an .npz file.")
    path = Path(path).expanduser()
    arrays, chosen = _read(path, names)
    return source_of(path, arrays, chosen, maximum=maximum, name=name)


def _read(path: Path, names: dict[str, str | None]) -> tuple[dict[str, NDArray], dict[str, str]]:
    """Arrays by role, and their names by role."""
    if path.is_dir():
        raise DataError(
            f"{path} is a folder. Set data.path to an .npz file; folders are read by data=image_folder (pictures) and "
            "data=memmap (.npy files)."
        )
    if not path.is_file():
        raise DataError(f"{path} does not exist. Set data.path to the .npz file that holds the images.")
    if path.suffix == ".mat":
        raise DataError(f"{path} is a MATLAB file. Read it with data=mat.")
    try:
        file = np.load(path, allow_pickle=False)  # a pickle could run anything
        if isinstance(file, np.ndarray):
            raise DataError(f"{path} holds a single array (.npy). Save it with np.savez(path, images=...).")
        with file:
            if set(file.files) >= SPARSE_PARTS and names["images"] not in file.files:
                return {"images": dense(path)}, {"images": "images"}
            chosen = choose(path, arrays_in(file), names)
            return {role: file[key] for role, key in chosen.items()}, chosen
    except UserError:
        raise
    except ValueError as error:
        raise DataError(
            f"{path} holds pickled objects or is not an .npz file ({error}). Objects are not read, they could run "
            "code: save plain arrays of numbers, and of strings for labels (labels.astype(str)); sparse matrices with "
            "scipy.sparse.save_npz."
        ) from error
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataError(f"{path} is damaged or not an .npz file ({error}). Save or copy it again.") from error


def arrays_in(file: Any) -> dict[str, Found]:
    """The arrays of an open file, by what their headers say."""
    found = {}
    for key in file.files:
        if f"{key}.npy" in file.zip.namelist():  # what has another name is no array
            with file.zip.open(f"{key}.npy") as opened:
                shape, _, dtype = read_header(opened)
            found[key] = Found(shape, str(dtype), dtype.kind in "buif")
    return found
