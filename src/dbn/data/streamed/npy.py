"""Arrays in .npy files: their headers, and reading of rows at offsets."""

import math
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from dbn.errors import DataError

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
"""Header readers by format version; version 3 concerns structured types only, which are not read."""


@dataclass(frozen=True)
class NpyFile:
    """An array in a file, in C order, described by its header.

    Attributes:
        path: of the file.
        dtype: of the values.
        shape: of the array; the first dimension counts its rows.
        offset: of the values in the file, in bytes.
    """

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    @classmethod
    def open(cls, path: Path) -> "NpyFile":
        """Read the header of a file.

        Raises:
            DataError: the file is missing, is no .npy file, holds objects or a single number, is in Fortran order, or
                its length contradicts its header.
        """
        try:
            with path.open("rb") as file:
                shape, fortran, dtype = read_header(file)
                offset, length = file.tell(), file.seek(0, 2)
        except FileNotFoundError as error:
            raise DataError(f"{path} does not exist. Write it with numpy.save.") from error
        except OSError as error:
            raise DataError(
                f"{path} cannot be read ({error}). Check that it is a file, and its permissions."
            ) from error
        except (ValueError, EOFError) as error:
            raise DataError(f"{path} is not an .npy file ({error}). Write it with numpy.save.") from error
        if dtype.hasobject:
            raise DataError(
                f"{path} holds pickled objects ({dtype}). They are not read, they could run code: save plain numbers."
            )
        if not shape:
            raise DataError(f"{path} holds a single number. Save an array with a row for each image.")
        if fortran and math.prod(shape) != max(shape):  # with one long dimension both orders are the same
            raise DataError(
                f"{path} is in Fortran order, where an image is scattered over the whole file. "
                "Save numpy.ascontiguousarray(images)."
            )
        expected = offset + math.prod(shape) * dtype.itemsize
        if length != expected:
            fault = "is truncated" if length < expected else "is too long"
            raise DataError(
                f"{path} {fault}: {length} bytes, but its header says {dtype} of shape {shape}, which makes "
                f"{expected}. Copy or write it again."
            )
        return cls(path, dtype, shape, offset)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def unbuffered(self) -> FileIO:
        """Open the file for :meth:`read`.

        Raises:
            DataError: it can no longer be opened.
        """
        try:
            return FileIO(self.path, "rb")
        except OSError as error:
            raise DataError(f"{self.path} cannot be read any more ({error}). Put it back and start again.") from error

    def read(self, file: FileIO, start: int, out: NDArray) -> None:
        """Fill ``out`` ``(m, ...)``, in C order, with the rows from ``start``.

        Not memory-mapped: mapped pages would count as memory of this process.

        Raises:
            DataError: the file has become shorter, or the disk fails.
        """
        if not out.size:
            return
        left = out.reshape(-1).view(np.uint8).data  # strings and big-endian numbers cannot be cast by Python
        try:
            file.seek(self.offset + start * self.row_bytes)
            while left:
                count = file.readinto(left)
                if not count:
                    raise DataError(
                        f"{self.path} is truncated: it ends within rows {start} to {start + len(out)}, which it had "
                        "when it was opened. Copy or write it again."
                    )
                left = left[count:]
        except OSError as error:
            raise DataError(
                f"{self.path}: rows {start} to {start + len(out)} cannot be read ({error}). Check the disk, or copy "
                "the file again."
            ) from error


def read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran order, and dtype of an array, from the header at the start of ``file``.

    Raises:
        ValueError: it is no .npy file, or of an unknown version.
    """
    version = np.lib.format.read_magic(file)
    if version not in HEADERS:
        raise ValueError(f"format version {version}, known are 1.0 and 2.0")
    return HEADERS[version](file)
