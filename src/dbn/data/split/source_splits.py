"""Which images of a source are for training, validation and test."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dbn.data.source import Source
from dbn.data.split.groups import GroupedLabels, hold_out_copies, hold_out_groups
from dbn.data.split.hold_out import split_size, split_stream, stratified_split


@dataclass(frozen=True, eq=False)
class Split:
    """Images of one split: numbers ``(n,)`` of the source's training images, their labels and groups ``(n,)``."""

    index: Tensor
    labels: Tensor | None
    groups: Tensor | None = None

    def __len__(self) -> int:
        """Number of images."""
        return len(self.index)

    def take(self, index: Tensor) -> "Split":
        """The images at ``index`` ``(m,)``."""
        labels = None if self.labels is None else self.labels[index]
        return Split(self.index[index], labels, None if self.groups is None else self.groups[index])


@dataclass(frozen=True, eq=False)
class SourceSplits:
    """How the training images of a source are split.

    Attributes:
        train: what remains to train on.
        validation: held-out images; None: the source has validation images of its own.
        test: likewise.
    """

    train: Split
    validation: Split | None
    test: Split | None


def split_source(source: Source, split_seed: int, *, validation: int | float | None, test: int | float) -> SourceSplits:
    """Hold out what a source does not give by itself: test images first, then validation images from the rest.

    Raises:
        SettingError: ``validation`` or ``test`` is invalid, or leaves no training images.
        DataError: a class has too few images to be in every split.
    """
    train = Split(torch.arange(len(source.train_images)), source.train_labels, source.groups)
    held_out = tuning = None
    if source.test_images is None:
        train, held_out = _take_out("test", train, test, split_seed, source)
    if source.validation_images is None:
        train, tuning = _take_out("validation", train, validation, split_seed, source)
    return SourceSplits(train, tuning, held_out)


def _take_out(
    split: str, images: Split, wanted: int | float | None, split_seed: int, source: Source
) -> tuple[Split, Split]:
    """The remaining and the held-out images, both in random order."""
    generator = split_stream(split_seed, split)
    n = len(images)
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
