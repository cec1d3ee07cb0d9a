"""From a source to a data set: split, flatten, scale."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dbn.data.images import DataSet, Images
from dbn.data.source import Source
from dbn.data.split.groups import GroupedLabels, hold_out_copies, hold_out_groups
from dbn.data.split.hold_out import offset_and_factor, split_size, split_stream, stratified_split
from dbn.data.streamed.load import load_streamed
from dbn.data.streamed.source import StreamedSource
from dbn.data.value_of_one import Range, value_of_one
from dbn.errors import DataError


def load_data(
    source: Source | StreamedSource,
    *,
    split_seed: int = 0,
    validation: int | float | None = 0.2,
    test: int | float = 0.2,
    standardise: bool = False,
) -> DataSet:
    """Split a source into training, validation and test images, and determine their scaling.

    With labels, splits are stratified by class. The held-out images depend on ``split_seed`` only, and are in random
    order. Sizes follow scikit-learn: a fraction is rounded up, test images are held out first, then validation images
    from the rest. Groups of images are never divided, and sizes are approximate; if groups are copies of a picture,
    sizes count pictures, and each is held out once.

    Args:
        source: what a reader of files returned; the training images of a :class:`StreamedSource` stay in their file.
        split_seed: seed of the stream ``split``.
        validation: number (int) or fraction (float) of validation images; 0: none. Ignored (pass None) if the source
            has validation images.
        test: number or fraction of test images; 0: none. Ignored if the source has test images.
        standardise: give every feature mean 0 and standard deviation 1 over the training images, see
            :func:`dbn.data.split.hold_out.standardisation`; values may then have any range. Otherwise features are
            pixels divided by ``source.maximum``, in [0, 1].

    Example:
        >>> from dbn.data import digits, load_data
        >>> data = load_data(digits(), validation=200)
        >>> len(data.train), len(data.validation), data.train.features().max()
        (1237, 200, tensor(1.))

    Raises:
        SettingError: ``validation`` or ``test`` is invalid, or leaves no training images.
        DataError: ``source`` is no source; a class has too few images to be in every split; or values lie outside 0 to
            ``source.maximum``, or have an ambiguous range, see :func:`dbn.data.value_of_one.value_of_one`.
    """
    if not isinstance(source, (Source, StreamedSource)):
        raise DataError(
            f"source is a {type(source).__name__}: load_data takes what a reader of files returns, such as digits(), "
            "or Source('mine', images, labels, maximum=255) with images (n, channels, height, width) in a tensor."
        )
    if isinstance(source, StreamedSource):
        return load_streamed(source, split_seed=split_seed, validation=validation, test=test, standardise=standardise)
    seen = Range.of([source.train_images, *source.held_out])
    maximum = value_of_one(seen, source.maximum, data_name=source.name, standardise=standardise)
    train = Split(source.train_images.flatten(1).contiguous(), source.train_labels, source.groups)
    if source.test_images is not None:
        held_out = Split(source.test_images.flatten(1).contiguous(), source.test_labels)
    else:
        train, held_out = _take_out("test", train, test, split_seed, source)
    if source.validation_images is not None:
        tuning = Split(source.validation_images.flatten(1).contiguous(), source.validation_labels)
    else:
        train, tuning = _take_out("validation", train, validation, split_seed, source)

    offset, factor = offset_and_factor(Images.from_features(train.pixels), maximum, standardise=standardise)
    channels, height, width = source.train_images.shape[1:]
    return DataSet(
        name=source.name,
        train=Images(train.pixels, train.labels, offset, factor),
        validation=Images(tuning.pixels, tuning.labels, offset, factor),
        test=Images(held_out.pixels, held_out.labels, offset, factor),
        shape=(channels, height, width),
        classes=source.classes,
        maximum=seen.magnitude if maximum is None else maximum,
    )


@dataclass(frozen=True, eq=False)
class Split:
    """Images of one split: pixels ``(n, n_features)``, labels ``(n,)``, groups ``(n,)``."""

    pixels: Tensor
    labels: Tensor | None
    groups: Tensor | None = None

    def take(self, index: Tensor) -> "Split":
        """The images at ``index`` ``(m,)``."""
        labels = None if self.labels is None else self.labels[index]
        return Split(self.pixels[index], labels, None if self.groups is None else self.groups[index])


def _take_out(
    split: str, images: Split, wanted: int | float | None, split_seed: int, source: Source
) -> tuple[Split, Split]:
    """The remaining and the held-out images, both in random order."""
    generator = split_stream(split_seed, split)
    n = len(images.pixels)
    if images.groups is None:
        size = split_size(split, wanted, n, source.name)
        if size == 0:
            return images, images.take(torch.arange(0))
        order = torch.randperm(n, generator=generator)  # so that the first images of a split are a random sample
        out = _single_images(split, images.labels, n, size, generator, source)
        kept = ~out
    else:
        order = torch.randperm(n, generator=generator)
        grouped = GroupedLabels(source.name, images.groups, images.labels, source.classes)
        if source.copies:
            assert source.groups is not None  # images.groups is a part of it
            whole = GroupedLabels(source.name, source.groups, source.train_labels, source.classes)
            out, kept = hold_out_copies(split, grouped, wanted, generator, whole=whole)
        else:
            out = hold_out_groups(split, grouped, wanted, generator)
            kept = ~out
    return images.take(order[kept[order]]), images.take(order[out[order]])


def _single_images(
    split: str, labels: Tensor | None, n: int, size: int, generator: torch.Generator, source: Source
) -> Tensor:
    """Mask ``(n,)`` of ``size`` images to hold out, stratified if there are labels."""
    if labels is None:
        index = torch.randperm(n, generator=generator)[:size]
    else:
        assert source.train_labels is not None  # labels is a part of it
        index = stratified_split(
            split, labels, size, generator, name=source.name, classes=source.classes, all_labels=source.train_labels
        )
    out = torch.zeros(n, dtype=torch.bool)
    out[index] = True
    return out
