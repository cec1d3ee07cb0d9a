"""Mosaics of images or filters as PNG data URIs."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
_PAPER = 255


@dataclass(frozen=True)
class Mosaic:
    """A PNG as a data URI, its size in pixels, and its caption."""

    uri: str
    width: int
    height: int
    caption: str


def make_mosaic(tiles: Pixels, columns: int, caption: str) -> Mosaic:
    """Arrange tiles ``(m, h, w, 3)`` in rows of ``columns`` with gaps, small tiles enlarged by a whole factor."""
    m, h, w, _ = tiles.shape
    columns = min(columns, m)
    rows = -(-m // columns)
    zoom = max(1, round(72 / max(h, w)))
    gap = max(2, round(0.07 * zoom * max(h, w)))
    tiles = tiles.repeat(zoom, axis=1).repeat(zoom, axis=2)
    h, w = h * zoom, w * zoom
    sheet = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap, 3), _PAPER, dtype=np.uint8)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        top, left = row * (h + gap), column * (w + gap)
        sheet[top : top + h, left : left + w] = tile
    grey = bool((sheet[..., :1] == sheet).all())
    image = Image.fromarray(sheet[..., 0] if grey else sheet)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return Mosaic(uri, image.width, image.height, caption)


def filter_pixels(filters: NDArray[np.float64]) -> Pixels:
    """Pixels ``(k, h, w, 3)`` of weights ``(k, h, w)`` or ``(k, c, h, w)``, zero mid-grey, each on its own scale.

    Raises:
        ValueError: weights of another shape.
    """
    if filters.ndim == 3:
        filters = filters[:, None]
    if filters.ndim != 4:
        raise ValueError(f"filters of shape {filters.shape}, expected (k, h, w) or (k, c, h, w)")
    filters = np.nan_to_num(filters, posinf=0.0, neginf=0.0)
    largest = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
    return image_pixels(0.5 + 0.5 * filters / np.where(largest > 0, largest, 1.0))


def image_pixels(images: NDArray[np.float64]) -> Pixels:
    """Pixels ``(m, h, w, 3)`` of images ``(m, c, h, w)`` in [0, 1]; of two channels only the first is shown.

    Raises:
        ValueError: images of another shape, or none.
    """
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(f"images of shape {images.shape}, expected (m, c, h, w)")
    images = np.nan_to_num(images).clip(0, 1)
    images = images[:, :3] if images.shape[1] >= 3 else np.repeat(images[:, :1], 3, axis=1)
    return np.rint(images * 255).astype(np.uint8).transpose(0, 2, 3, 1)
