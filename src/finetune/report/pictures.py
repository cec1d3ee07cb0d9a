"""``pictures.npz`` -> small PNG mosaics that stand in the page."""

import base64
import io
import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from finetune.report.read import Run

Pixels = NDArray[np.uint8]
_PAPER = 255
_MAX_FILTERS = 36
_MAX_SAMPLES = 40
_MAX_RECONSTRUCTIONS = 10


@dataclass(frozen=True)
class Picture:
    """One mosaic: a data URI of a PNG, its size in pixels, and what it shows."""

    uri: str
    width: int
    height: int
    caption: str


@dataclass(frozen=True)
class Gallery:
    """The pictures of one run; ``complaint`` where its file cannot be read."""

    run: Run
    filters: tuple[Picture, ...] = ()
    reconstructions: tuple[Picture, ...] = ()
    samples: tuple[Picture, ...] = ()
    complaint: str = ""


def read_gallery(run: Run) -> Gallery | None:
    """Pictures of a run; None where it kept none."""
    path = run.directory / "pictures.npz"
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: np.asarray(archive[key], dtype=np.float64) for key in archive.files}
        return _gallery(run, arrays)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        return Gallery(run, complaint=f"{run.path}/pictures.npz cannot be read: {error}")


def _gallery(run: Run, arrays: dict[str, NDArray[np.float64]]) -> Gallery:
    filters = []
    for key, caption in (("filters_start", "before fine-tuning"), ("filters", "after fine-tuning")):
        if key in arrays:
            words = "after pretraining" if run.stage == "pretrain" else caption
            filters.append(mosaic(filter_pixels(arrays[key][:_MAX_FILTERS]), 6, words))
    reconstructions = []
    if "images" in arrays and "reconstructions" in arrays:
        n = min(len(arrays["images"]), len(arrays["reconstructions"]), _MAX_RECONSTRUCTIONS)
        pair = np.concatenate([image_pixels(arrays[key][:n]) for key in ("images", "reconstructions")])
        reconstructions.append(mosaic(pair, n, "image above, its reconstruction below"))
    samples = []
    if "samples" in arrays:
        samples.append(mosaic(image_pixels(arrays["samples"][:_MAX_SAMPLES]), 10, "samples"))
    return Gallery(run, tuple(filters), tuple(reconstructions), tuple(samples))


def filter_pixels(filters: NDArray[np.float64]) -> Pixels:
    """Weights ``(k, h, w)`` or ``(k, c, h, w)`` -> ``(k, h, w, 3)``; zero is mid-grey, each filter on its own scale."""
    if filters.ndim == 3:
        filters = filters[:, None]
    if filters.ndim != 4:
        raise ValueError(f"filters of shape {filters.shape}, expected (k, h, w) or (k, c, h, w)")
    filters = np.nan_to_num(filters, posinf=0.0, neginf=0.0)
    largest = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
    return image_pixels(0.5 + 0.5 * filters / np.where(largest > 0, largest, 1.0))


def image_pixels(images: NDArray[np.float64]) -> Pixels:
    """Images ``(m, c, h, w)`` in [0, 1] -> ``(m, h, w, 3)``; of two channels only the first is shown."""
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(f"images of shape {images.shape}, expected (m, c, h, w)")
    images = np.nan_to_num(images).clip(0, 1)
    images = images[:, :3] if images.shape[1] >= 3 else np.repeat(images[:, :1], 3, axis=1)
    return np.rint(images * 255).astype(np.uint8).transpose(0, 2, 3, 1)


def mosaic(tiles: Pixels, columns: int, caption: str) -> Picture:
    """Tiles ``(m, h, w, 3)`` side by side with a gap, small ones enlarged so that their pixels stay sharp."""
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
    return Picture(uri, image.width, image.height, caption)
