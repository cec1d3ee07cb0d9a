"""From images in a file to a data set: some held out, the others left where they are."""

from dataclasses import replace
from typing import TypeVar

import torch

from dbn.data.hold_out import split_size, split_stream, standardisation, stratified_split
from dbn.data.images import DataSet, Images
from dbn.data.strata import distinct
from dbn.data.streamed import StreamedImages
from dbn.data.streamed_source import StreamedSource
from dbn.errors import DataError

AnyImages = TypeVar("AnyImages", bound=Images)


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
        DataError: as there; or a file cannot be read, or one cannot tell what stands for 1.0.
    """
    train, held_out, tuning = source.train, source.test, source.validation
    if held_out is None:
        train, held_out = _take_out("test", train, test, split_seed, source)
    if tuning is None:
        train, tuning = _take_out("validation", train, validation, split_seed, source)
    maximum = source.maximum or _natural_maximum(held_out, source)
    if standardise:
        offset, factor = standardisation(train, maximum)
    else:
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
        maximum=maximum,
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


def _natural_maximum(test: Images, source: StreamedSource) -> float:
    """255 for bytes, 1 for real numbers.

    Raises:
        DataError: the test images are bytes of 0 and 1 only, which may be a whole range or the dark end of one.
    """
    if test.pixels.dtype != torch.uint8:
        return 1.0
    if test.pixels.max() <= 1:
        raise DataError(
            f"data.maximum=null: the test images of data={source.name} are bytes of 0 and 1 only, so 255 is hardly "
            "what stands for 1.0. Set data.maximum=1 for binary images, or 255 if these are very dark ones."
        )
    return 255.0
