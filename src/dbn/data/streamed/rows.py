"""Images that are rows of a file, without excluded ones, and their reader."""

import math
from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dbn.data.streamed.npy import NpyFile
from dbn.data.value_of_one import Range, cure, exact
from dbn.errors import DataError

PIECE_BYTES = 4 << 20
"""Bytes read at once: large enough for the full speed of a disk."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Images that are rows of a file. Numbers of images do not count the excluded rows; row numbers do.

    Attributes:
        file: array ``(n, height, width, channels)``, or of any shape with as many values in that order.
        shape: channels, height, width.
        left_out: sorted row numbers ``(k,)`` int64 of excluded rows.
        limit: largest allowed value, the smallest being 0; None: any value.
    """

    file: NpyFile
    shape: tuple[int, int, int]
    left_out: Tensor
    limit: float | None = None

    def __len__(self) -> int:
        """Number of images."""
        return self.file.shape[0] - len(self.left_out)

    @property
    def n_features(self) -> int:
        """Pixels of an image."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> torch.dtype:
        """Type of pixels as read: uint8 for bytes and booleans, else float32."""
        return torch.uint8 if self.file.dtype in (np.uint8, np.bool_) else torch.float32

    @property
    def as_stored(self) -> bool:
        """Whether values of the file are read without conversion."""
        return self.file.dtype in (np.uint8, np.float32)

    def row_of(self, index: Tensor) -> Tensor:
        """Row numbers in the file of the images at ``index`` ``(m,)``."""
        before = self.left_out - torch.arange(len(self.left_out))  # images before each excluded row
        return index + torch.searchsorted(before, index, right=True)

    def without(self, index: Tensor) -> "Rows":
        """The same images without those at ``index`` ``(m,)``."""
        left_out = torch.cat([self.left_out, self.row_of(index)]).sort().values
        return replace(self, left_out=left_out)


class RowReader:
    """Reads pixels of rows; not thread-safe. A context manager that closes the file.

    Args:
        rows: the images to read.

    Raises:
        DataError: the file cannot be opened.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.file = rows.file.unbuffered()
        self.piece = max(1, PIECE_BYTES // max(1, rows.file.row_bytes))
        self.scratch: Tensor | None = None
        self.raw: NDArray | None = None
        self.within = None if rows.limit is None else float(torch.tensor(rows.limit, dtype=torch.float32))

    def __enter__(self) -> "RowReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    def read(self, start: int, stop: int, out: Tensor) -> None:
        """Read images ``start`` to ``stop - 1`` into ``out`` ``(stop - start, n_features)``, on the CPU.

        Raises:
            DataError: the file has become shorter, the disk fails, or a value is NaN, infinite, or outside 0 to the
                limit.
        """
        rows, filled = self.rows, 0
        row = int(rows.row_of(torch.tensor([start]))) if start < stop else 0
        while filled < stop - start:
            n = min(self.piece, stop - start - filled)
            numbers = torch.arange(row, row + n)
            low, high = torch.searchsorted(rows.left_out, torch.tensor([row, row + n])).tolist()
            if low == high and rows.shape[0] == 1:
                pixels = out[filled : filled + n]
                self._read(row, pixels)
            else:
                keep = torch.ones(n, dtype=torch.bool)
                keep[rows.left_out[low:high] - row] = False
                numbers = numbers[keep]
                self._read(row, self._scratch()[:n])
                pixels = self._arrange(self._scratch()[:n][keep], out[filled : filled + len(numbers)])
            self._check(pixels, numbers)
            filled += len(numbers)
            row += n

    def _read(self, row: int, out: Tensor) -> None:
        """Read rows from ``row`` on into ``out`` ``(n, n_features)``, in the file's order of values."""
        rows = self.rows
        if rows.as_stored:
            rows.file.read(self.file, row, out.numpy())
            return
        if self.raw is None:
            self.raw = np.empty((self.piece, rows.n_features), rows.file.dtype)
        raw = self.raw[: len(out)]
        rows.file.read(self.file, row, raw)
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which is refused by name
            out.numpy()[:] = raw

    def _scratch(self) -> Tensor:
        if self.scratch is None:
            self.scratch = torch.empty(self.piece, self.rows.n_features, dtype=self.rows.dtype)
        return self.scratch

    def _arrange(self, pixels: Tensor, out: Tensor) -> Tensor:
        """Copy pixels in the file's order (row, column, channel) into ``out`` as channel, row, column; returns it."""
        channels, height, width = self.rows.shape
        out.view(-1, channels, height, width).copy_(pixels.view(-1, height, width, channels).permute(0, 3, 1, 2))
        return out

    def _check(self, pixels: Tensor, numbers: Tensor) -> None:
        """Refuse values that are not finite or outside 0 to the limit; ``numbers`` ``(m,)`` are the row numbers."""
        rows = self.rows
        if not len(pixels) or (pixels.dtype == torch.uint8 and (self.within is None or self.within >= 255)):
            return
        low, high = (float(end) for end in torch.aminmax(pixels))  # NaN propagates; isfinite would make a copy
        if not (math.isfinite(low) and math.isfinite(high)):
            bad = numbers[~torch.isfinite(pixels).all(1)]
            raise DataError(
                f"{rows.file.path} holds NaN or infinite values, the first in image {int(bad[0])} (counted from 0), "
                f"and in {len(bad)} of the {len(numbers)} images from {int(numbers[0])}. Repair or remove these images."
            )
        if self.within is not None and not (low >= 0 and high <= self.within):
            bad = numbers[((pixels < 0) | (pixels > self.within)).any(1)]
            seen = Range(low, high, rows.file.dtype.kind in "bui")
            raise DataError(
                f"{rows.file.path}: values go from {seen} in the {len(numbers)} images from {int(numbers[0])}, the "
                f"first outside 0 to {exact(self.within)} in image {int(bad[0])} (counted from 0). "
                f"{cure(seen, known=self.within)}"
            )
