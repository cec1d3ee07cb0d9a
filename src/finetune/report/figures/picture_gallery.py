"""First-layer filters, reconstructions and samples of a study's runs, as mosaics."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbn.errors import DataError
from finetune.report.figures.mosaics import Mosaic, filter_pixels, image_pixels, make_mosaic
from finetune.report.results.pictures_file import read_pictures
from finetune.report.results.run_result import RunResult
from finetune.report.results.study import Study

_MAX_FILTERS = 36
_MAX_SAMPLES = 40
_MAX_RECONSTRUCTIONS = 10


@dataclass(frozen=True)
class PictureGallery:
    """The mosaics of one run."""

    run: RunResult
    filters: tuple[Mosaic, ...]
    reconstructions: tuple[Mosaic, ...]
    samples: tuple[Mosaic, ...]


def picture_galleries(study: Study, names: Collection[str] | None) -> tuple[list[PictureGallery], list[str]]:
    """Mosaics of the first seed of each name that kept pictures, and messages on files that cannot be read.

    ``names`` are those of the fine-tuned runs that are shown; None for all.
    """
    galleries: dict[tuple[str, str], PictureGallery] = {}
    errors = []
    for run in study.runs:
        if (run.stage, run.name) in galleries or run.trial is not None:
            continue
        if names is not None and run.stage == "finetune" and run.name not in names:
            continue
        try:
            gallery = make_gallery(run)
        except DataError as error:
            errors.append(str(error))
            continue
        if gallery.filters or gallery.reconstructions or gallery.samples:
            galleries[run.stage, run.name] = gallery
    return list(galleries.values()), errors


def make_gallery(run: RunResult) -> PictureGallery:
    """Mosaics of the pictures that a run kept.

    Raises:
        DataError: its file is damaged, or its arrays are no images.
    """
    arrays = read_pictures(run)
    try:
        return PictureGallery(run, _filters(run, arrays), _reconstructions(arrays), _samples(arrays))
    except ValueError as error:
        raise DataError(f"{run.path}/pictures.npz cannot be read: {error}") from error


def _filters(run: RunResult, arrays: dict[str, NDArray[np.float64]]) -> tuple[Mosaic, ...]:
    captions = {"filters_start": "before fine-tuning", "filters": "after fine-tuning"}
    return tuple(
        make_mosaic(
            filter_pixels(arrays[key][:_MAX_FILTERS]), 6, "after pretraining" if run.stage == "pretrain" else caption
        )
        for key, caption in captions.items()
        if key in arrays
    )


def _reconstructions(arrays: dict[str, NDArray[np.float64]]) -> tuple[Mosaic, ...]:
    if "images" not in arrays or "reconstructions" not in arrays:
        return ()
    n = min(len(arrays["images"]), len(arrays["reconstructions"]), _MAX_RECONSTRUCTIONS)
    pair = np.concatenate([image_pixels(arrays[key][:n]) for key in ("images", "reconstructions")])
    return (make_mosaic(pair, n, "image above, its reconstruction below"),)


def _samples(arrays: dict[str, NDArray[np.float64]]) -> tuple[Mosaic, ...]:
    return (make_mosaic(image_pixels(arrays["samples"][:_MAX_SAMPLES]), 10, "samples"),) if "samples" in arrays else ()
