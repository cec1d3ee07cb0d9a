"""From images in a file to a data set: some held out, the others left where they are."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

import torch

from dbn.data.images import DataSet, Images
from dbn.data.ranges import Range, value_of_one
from dbn.data.split.hold_out import split_size, split_stream, standardisation, stratified_split
from dbn.data.split.strata import distinct
from dbn.data.streamed.images import StreamedImages
from dbn.data.streamed.source import StreamedSource
from dbn.random.streams import stream

LOOKED_AT, LOOKED_AT_BYTES = 1000, 64 << 20
"""Training images, and bytes of them, at most, whose values are looked at before training."""

AnyImages = TypeVar("AnyImages", Images, StreamedImages)


def load_streamed(
    source: StreamedSource,
    *,
    split_seed: int,
    validation: int | float | None,
    test: int | float,
    standardise: bool,
) -> DataSet:
    """As :func:`dbn.data.load_data`: what is held out is read into memory, the training images keep their order.

    Raises:
        SettingError: as :func:`dbn.data.load_data`.
        DataError: as there; or a file cannot be read. Values of the training images outside 0 to the maximum are
            refused where some of a thousand images, drawn from all of the file, show them, else when they are read.
    """
    train, held_out, tuning = source.train, source.test, source.validation
    if held_out is None:
        train, held_out = _take_out("test", train, test, split_seed, source)
    if tuning is None:
        train, tuning = _take_out("validation", train, validation, split_seed, source)
    seen = _seen(train, (held_out, tuning))
    maximum = value_of_one(seen, source.maximum, data_name=source.name, standardise=standardise)
    if standardise:
        offset, factor = standardisation(train, maximum)
    else:
        assert maximum is not None  # only standardised values may have any range
        train = replace(train, rows=replace(train.rows, limit=maximum))
        offset, factor = torch.tensor(0.0), torch.tensor(1 / maximum)

    def read_so(images: AnyImages) -> AnyImages:
        return replace(images, offset=offset, factor=factor)

    return DataSet(
        name=source.name,
        train=read_so(train),
        validation=read_so(tuning),
        test=read_so(held_out),
        shape=source.shape,
        classes=source.classes,
        maximum=seen.magnitude if maximum is None else maximum,
    )


def _take_out(
    split: str, images: StreamedImages, wanted: int | float | None, split_seed: int, source: StreamedSource
) -> tuple[StreamedImages, Images]:
    """What remains of the images, in their order, and those taken out, in random order and in memory."""
    size = split_size(split, wanted, len(images), source.name)
    generator = split_stream(split_seed, split)
    if size == 0 or images.labels is None:
        index = distinct(len(images), size, generator)
    else:
        assert source.train.labels is not None  # labels come from there
        index = stratified_split(
            split, images.labels, size, generator, name=source.name, classes=source.classes,
            all_labels=source.train.labels,
        )  # fmt: skip
    return images.without(index), images.take(index[torch.randperm(size, generator=generator)])


def _seen(train: StreamedImages, held_out: Iterable[Images]) -> Range:
    """Values of all images that are held out, and of some of the training images, drawn from all of the file.

    To look at all of them would take an epoch's reading. Those that are not looked at are checked as they are read.
    """
    n = min(len(train), LOOKED_AT, max(1, LOOKED_AT_BYTES // max(1, train.rows.file.row_bytes)))
    some = train.take(distinct(len(train), n, stream(0, "sample")))
    seen = [some.pixels, *(images.pixels for images in held_out)]
    whose = "the images" if n == len(train) else f"{sum(map(len, seen))} images that were looked at"
    return Range.of(seen, whole=train.rows.file.dtype.kind in "bui", whose=whose)
