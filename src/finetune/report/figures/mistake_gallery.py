"""The test images that a section's best networks got wrong with most conviction, as pictures with captions."""

from dataclasses import dataclass

import numpy as np

from dbn.errors import DataError
from finetune.report.comparison.sections import Section
from finetune.report.figures.mosaics import Mosaic, image_pixels, make_mosaic
from finetune.report.results.pictures_file import read_pictures
from finetune.report.results.run_result import RunResult

SHOWN = 10
"""Largest number of images of a network."""


@dataclass(frozen=True)
class MistakeGallery:
    """Worst mistakes of one run, the most probable wrong class first; where images have names, these."""

    run: RunResult
    pictures: tuple[Mosaic, ...]
    names: tuple[str, ...]


def mistake_galleries(section: Section) -> tuple[list[MistakeGallery], list[str]]:
    """Galleries of the best pretrained and the best random arm, and messages on files that cannot be read.

    Of each arm the first seed that kept its mistakes is shown.
    """
    galleries, errors = [], []
    for arm in (section.best_pretrained, section.best_random):
        for run in arm.runs if arm is not None else ():
            try:
                gallery = make_gallery(run)
            except DataError as error:
                errors.append(str(error))
                continue
            if gallery is not None:
                galleries.append(gallery)
                break
    return galleries, errors


def make_gallery(run: RunResult) -> MistakeGallery | None:
    """The mistakes that a run kept; None where it kept none.

    Raises:
        DataError: its pictures are damaged, or do not match its result.
    """
    if not run.mistakes:
        return None
    images = read_pictures(run).get("mistakes")
    if images is None:
        return None
    try:
        tiles = image_pixels(images)
        pictures, names = [], []
        for tile, mistake in list(zip(tiles, run.mistakes, strict=True))[:SHOWN]:
            label, taken = (class_name(run, mistake[key]) for key in ("label", "predicted"))
            caption = f"{label}, taken for {taken}, {100 * mistake['probability']:.1f} %"
            pictures.append(make_mosaic(tile[np.newaxis], 1, caption))
            names.append(str(mistake.get("name") or f"test image {mistake['index']}"))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{run.path}/pictures.npz does not show the mistakes of result.json: {error}") from error
    return MistakeGallery(run, tuple(pictures), tuple(names))


def class_name(run: RunResult, label: int) -> str:
    """Name of a class, or its number where it has none."""
    return run.classes[label] if 0 <= label < len(run.classes) else str(label)
