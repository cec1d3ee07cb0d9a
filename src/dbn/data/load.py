"""From what a reader of files returned to a data set: split, flattened, scaled."""

import torch
from torch import Tensor

from dbn.data.hold_out import split_size, split_stream, standardisation, stratified_split
from dbn.data.images import DataSet, Images
from dbn.data.load_streamed import load_streamed
from dbn.data.source import Source
from dbn.data.streamed_source import StreamedSource


def load_data(
    source: Source | StreamedSource,
    *,
    split_seed: int = 0,
    validation: int | float | None = 0.2,
    test: int | float = 0.2,
    standardise: bool = False,
) -> DataSet:
    """Split a source and say how its pixels are read as features.

    Where there are labels, each class keeps its share in every split. What is taken out depends on ``split_seed``
    alone, and comes in random order. Sizes follow scikit-learn: a fraction is rounded up, test images are taken out
    first, validation images out of what remains.

    Args:
        source: images as read, or where to read them; the training images of a :class:`StreamedSource` stay in their
            file.
        split_seed: of the stream "split".
        validation: number (int) or fraction (float) of validation images; 0: none. A source that has validation
            images of its own keeps them, whatever is said here (say None).
        test: number or fraction of test images. A source that has test images of its own keeps them.
        standardise: give every feature mean 0 and standard deviation 1 over the training images (deviations below
            0.01 on the [0, 1] scale count as 0.01). Otherwise features are pixels divided by ``source.maximum``.

    Raises:
        SettingError: ``validation`` or ``test`` is no usable number or fraction, or leaves nothing to train on.
        DataError: a class has too few images to be present in every split.
    """
    if isinstance(source, StreamedSource):
        return load_streamed(source, split_seed=split_seed, validation=validation, test=test, standardise=standardise)
    train = (source.train_images.flatten(1).contiguous(), source.train_labels)
    if source.test_images is not None:
        held_out = (source.test_images.flatten(1).contiguous(), source.test_labels)
    else:
        size = split_size("test", test, len(train[0]), source.name)
        train, held_out = _take_out("test", *train, size, split_seed, source)
    if source.validation_images is not None:
        tuning = (source.validation_images.flatten(1).contiguous(), source.validation_labels)
    else:
        size = split_size("validation", validation, len(train[0]), source.name)
        train, tuning = _take_out("validation", *train, size, split_seed, source)

    if standardise:
        offset, factor = standardisation(Images.from_features(train[0]), source.maximum)
    else:
        offset, factor = torch.tensor(0.0), torch.tensor(1 / source.maximum)
    channels, height, width = source.train_images.shape[1:]
    return DataSet(
        name=source.name,
        train=Images(*train, offset, factor),
        validation=Images(*tuning, offset, factor),
        test=Images(*held_out, offset, factor),
        shape=(channels, height, width),
        classes=source.classes,
        maximum=source.maximum,
    )


Split = tuple[Tensor, Tensor | None]  # pixels (n, n_features), labels (n,)


def _take_out(
    split: str, pixels: Tensor, labels: Tensor | None, size: int, split_seed: int, source: Source
) -> tuple[Split, Split]:
    """What remains of the images, and ``size`` of them taken out; both in random order."""
    if size == 0:
        return (pixels, labels), (pixels[:0], None if labels is None else labels[:0])
    generator = split_stream(split_seed, split)
    order = torch.randperm(len(pixels), generator=generator)  # so that the first images of a split are a fair sample
    out = torch.zeros(len(pixels), dtype=torch.bool)
    if labels is None:
        out[torch.randperm(len(pixels), generator=generator)[:size]] = True
    else:
        assert source.train_labels is not None  # labels come from there
        index = stratified_split(
            split, labels, size, generator, name=source.name, classes=source.classes, all_labels=source.train_labels
        )
        out[index] = True
    kept, taken = order[~out[order]], order[out[order]]
    if labels is None:
        return (pixels[kept], None), (pixels[taken], None)
    return (pixels[kept], labels[kept]), (pixels[taken], labels[taken])
