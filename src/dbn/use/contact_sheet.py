"""Contact sheets: pictures side by side, large enough for a person, as a PNG file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dbn.errors import SettingError
from dbn.files import replacing
from dbn.pretraining.pictures import tiles

SIDE = 48
"""Pixels that the longer side of a picture takes at least."""
MISSING = (0.25, 0.45, 0.9)
"""Colour of missing pixels: a blue, which grey pictures do not have."""


def write_sheet(path: Path, rows: Sequence[NDArray]) -> None:
    """Write pictures as a PNG file: as a square, or several kinds of them below each other.

    Args:
        path: of the file, written whole or not at all.
        rows: pictures of each kind ``(n, channels, height, width)`` in [0, 1], such as images and their
            reconstructions.

    Raises:
        SettingError: pictures have another number of channels than one or three.
    """
    n, channels, height, width = rows[0].shape
    if channels not in (1, 3):
        raise SettingError(
            f"output={path}: images of {channels} channels are no pictures, which have one or three. Use .npy or .npz."
        )
    columns = int(np.ceil(np.sqrt(n))) if len(rows) == 1 else min(n, 10)
    pictures = rows[0] if len(rows) == 1 else _interleaved(rows, columns)
    times = max(1, -(-SIDE // max(height, width)))
    sheet = tiles(pictures, columns).repeat(times, 0).repeat(times, 1)
    with replacing(path) as temporary:
        Image.fromarray((sheet * 255).round().astype(np.uint8)).save(temporary, format="PNG")


def marked(pictures: NDArray, missing: NDArray) -> NDArray:
    """Pictures ``(n, 3, height, width)`` in which ``missing`` pixels, of the shape of ``pictures``, have a colour."""
    coloured = np.broadcast_to(pictures, (len(pictures), 3, *pictures.shape[2:])).copy()
    holes = np.broadcast_to(missing.any(1, keepdims=True), coloured.shape)
    return np.where(holes, np.array(MISSING, np.float32).reshape(1, 3, 1, 1), coloured)


def _interleaved(rows: Sequence[NDArray], columns: int) -> NDArray:
    """One row of each kind after the other, ``columns`` wide; the last ones are filled up with white."""
    n = len(rows[0])
    full = [
        np.concatenate([own, np.ones((-n % columns, *own.shape[1:]), own.dtype)])
        for own in (np.broadcast_to(own, (n, max(kind.shape[1] for kind in rows), *own.shape[2:])) for own in rows)
    ]
    starts = range(0, len(full[0]), columns)
    return np.concatenate([own[start : start + columns] for start in starts for own in full])
