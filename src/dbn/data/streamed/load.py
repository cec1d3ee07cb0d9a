"""From a streamed source to a data set: hold out images, determine the scaling."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from dbn.data.images import DataSet, Images
from dbn.data.split.hold_out import offset_and_factor, split_size, split_stream, stratified_split
from dbn.data.split.strata import distinct
from dbn.data.streamed.images import StreamedImages
from dbn.data.streamed.source import StreamedSource
from dbn.data.value_of_one import Range, value_of_one
from dbn.random.streams import stream

SAMPLED_IMAGES, SAMPLED_BYTES = 1000, 64 << 20
"""Largest number of training images, and of their bytes, whose values are checked before training."""

AnyImages = TypeVar("AnyImages", Images, StreamedImages)


@dataclass(frozen=True, eq=False)
class StreamedSplits:
    """How the images of a streamed source are split.

    Attributes:
        train: what remains to train on, in stored order.
        validation: held-out images, in random order and in memory, or those that the source has.
        test: likewise.
        validation_index: ``(n,)`` int64, numbers of the validation images among the images of the source; None: the
            source has validation images of its own.
        test_index: likewise.
    """

    train: StreamedImages
    validation: Images
    test: Images
    validation_index: Tensor | None
    test_index: Tensor | None


def split_streamed(
    source: StreamedSource, split_seed: int, *, validation: int | float | None, test: int | float
) -> StreamedSplits:
    """Hold out what a source does not give by itself: test images first, then validation images from the rest.

    Raises:
        SettingError: ``validation`` or ``test`` is invalid, or leaves no training images.
        DataError: a class has too few images to be in every split, or a file cannot be read.
    """
    train, held_out, tuning = source.train, source.test, source.validation
    test_index = validation_index = None
    if held_out is None:
        train, held_out, test_index = _take_out("test", train, test, split_seed, source)
    if tuning is None:
        before = train
        train, tuning, index = _take_out("validation", before, validation, split_seed, source)
        validation_index = before.rows.row_of(index)
    return StreamedSplits(train, tuning, held_out, validation_index, test_index)


def load_streamed(
    source: StreamedSource,
    *,
    split_seed: int,
    validation: int | float | None,
    test: int | float,
    standardise: bool,
) -> DataSet:
    """As :func:`dbn.data.load_data`; held-out images are read into memory, training images keep their order.

    Raises:
        SettingError: as :func:`dbn.data.load_data`.
        DataError: as :func:`dbn.data.load_data`; or a file cannot be read. Values of training images outside 0 to the
            maximum are found here if they occur in a random sample of a thousand images, else when they are read.
    """
    splits = split_streamed(source, split_seed, validation=validation, test=test)
    train, tuning, held_out = splits.train, splits.validation, splits.test
    seen = _sampled_range(train, (held_out, tuning))
    maximum = value_of_one(seen, source.maximum, data_name=source.name, standardise=standardise)
    offset, factor = offset_and_factor(train, maximum, standardise=standardise)
    if not standardise:
        train = replace(train, rows=replace(train.rows, limit=maximum))

    def scaled(images: AnyImages) -> AnyImages:
        return replace(images, offset=offset, factor=factor)

    return DataSet(
        name=source.name,
        train=scaled(train),
        validation=scaled(tuning),
        test=scaled(held_out),
        shape=source.shape,
        classes=source.classes,
        maximum=seen.magnitude if maximum is None else maximum,
        test_index=splits.test_index,
    )


def _take_out(
    split: str, images: StreamedImages, wanted: int | float | None, split_seed: int, source: StreamedSource
) -> tuple[StreamedImages, Images, Tensor]:
    """The remaining images, in stored order, the held-out ones, in random order and in memory, and their numbers."""
    size = split_size(split, wanted, len(images), source.name)
    generator = split_stream(split_seed, split)
    if size == 0 or images.labels is None:
        index = distinct(len(images), size, generator)
    else:
        assert source.train.labels is not None  # images.labels is a part of it
        index = stratified_split(
            split, images.labels, size, generator, name=source.name, classes=source.classes,
            all_labels=source.train.labels,
        )  # fmt: skip
    out = index[torch.randperm(size, generator=generator)]
    return images.without(index), images.take(out), out


def _sampled_range(train: StreamedImages, held_out: Iterable[Images]) -> Range:
    """Range of the held-out images and of a random sample of the training images.

    Checking all training images would take as long as reading an epoch; :class:`~dbn.data.streamed.rows.RowReader`
    checks them during training.
    """
    n = min(len(train), SAMPLED_IMAGES, max(1, SAMPLED_BYTES // max(1, train.rows.file.row_bytes)))
    sample = train.take(distinct(len(train), n, stream(0, "sample")))
    seen = [sample.pixels, *(images.pixels for images in held_out)]
    whose = "the images" if n == len(train) else f"{sum(map(len, seen))} images that were checked"
    return Range.of(seen, whole=train.rows.file.dtype.kind in "bui", whose=whose)
