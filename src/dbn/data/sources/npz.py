"""The user's images as arrays in one .npz file."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dbn.data.source import Source
from dbn.data.sources.arrays import ROLES, WEIGHTS, ArrayHeader, choose, source_of
from dbn.data.sources.sparse import SPARSE_PARTS, dense
from dbn.data.streamed.npy import read_header
from dbn.errors import DataError, UserError


def npz(
    path: str | Path | None,
    maximum: float | str | None = None,
    name: str = "npz",
    *,
    images: str = "images",
    labels: str | None = "labels",
    test_images: str | None = "test_images",
    test_labels: str | None = "test_labels",
    validation_images: str | None = "validation_images",
    validation_labels: str | None = "validation_labels",
    weights: str | None = None,
) -> Source:
    """Images from the arrays of a file written by :func:`numpy.savez`.

    The arrays:

    - images: numbers or booleans, ``(n, height, width)``, ``(n, height, width, channels)`` or flat, ``(n, features)``,
      taken for square pictures if ``features`` is a square number, else for single rows;
    - labels (optional): ``(n,)``, whole numbers or strings; the classes are their sorted distinct values;
    - test images and validation images, and their labels (optional): in the same formats.

    A file written by :func:`scipy.sparse.save_npz` is read as images ``(n, features)`` without labels; with labels,
    write ``numpy.savez(path, images=matrix.toarray(), labels=labels)``.

    Args:
        path: of the file.
        maximum: stored value that stands for 1.0; None: inferred, see :func:`dbn.data.value_of_one.value_of_one`;
            "counts": values are counts, such as of words, and are features as they are.
        name: name of the data in messages and results.
        images: name of the array.
        labels: name of the array; None: unused. An array with the default name may be missing.
        test_images: likewise.
        test_labels: likewise.
        validation_images: likewise.
        validation_labels: likewise.
        weights: name of the array of the training images' weights ``(n,)``, numbers from 0: how much each counts in
            training; None: they have none.

    Raises:
        DataError: the file is missing, damaged, or holds pickled objects; an array is missing, has a wrong shape or
            type, or does not match the others; or a sparse matrix is too large.
        SettingError: ``maximum`` is neither a positive number nor "counts".
    """
    names = dict(
        zip(
            (*ROLES, WEIGHTS),
            (images, labels, test_images, test_labels, validation_images, validation_labels, weights),
            strict=True,
        )
    )
    if not path:
        raise DataError(f"data.path is not set: data={name} needs the path of an .npz file.")
    path = Path(path).expanduser()
    arrays, chosen = _read(path, names)
    return source_of(path, arrays, chosen, maximum=maximum, name=name)


def _read(path: Path, names: dict[str, str | None]) -> tuple[dict[str, NDArray], dict[str, str]]:
    """Arrays by role, and names of the arrays by role."""
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
        file = np.load(path, allow_pickle=False)  # a pickle could execute code
        if isinstance(file, np.ndarray):
            raise DataError(f"{path} holds a single array (.npy). Save it with np.savez(path, images=...).")
        with file:
            if set(file.files) >= SPARSE_PARTS and names["images"] not in file.files:
                if names[WEIGHTS] is not None:
                    raise DataError(
                        f"data.weights={names[WEIGHTS]}: {path} holds a sparse matrix and nothing else. Use "
                        "data.weights=null, or save images and weights with numpy.savez(path, images=matrix.toarray(), "
                        f"{names[WEIGHTS]}=...)."
                    )
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


def arrays_in(file: Any) -> dict[str, ArrayHeader]:
    """Headers of the arrays of an open file, by name."""
    found = {}
    for key in file.files:
        if f"{key}.npy" in file.zip.namelist():  # other members of the archive are no arrays
            with file.zip.open(f"{key}.npy") as opened:
                shape, _, dtype = read_header(opened)
            found[key] = ArrayHeader(shape, str(dtype), dtype.kind in "buif")
    return found
