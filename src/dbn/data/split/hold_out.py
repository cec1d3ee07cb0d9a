"""How many images are held out for validation and testing, which of them, and how their features are scaled."""

import math

import torch
from torch import Tensor

from dbn.data.images import ImageSet
from dbn.data.split.strata import stratified
from dbn.errors import DataError, SettingError
from dbn.random.streams import stream

STD_FLOOR = 1e-2  # of the [0, 1] scale: features that (almost) never change in training must not explode in testing


def split_size(split: str, wanted: int | float | None, n: int, name: str) -> int:
    """How many of ``n`` images ``data.<split>=<wanted>`` asks for.

    Raises:
        SettingError: no usable number or fraction, or nothing would be left to train on.
    """
    if isinstance(wanted, int) and not isinstance(wanted, bool) and 0 <= wanted < n:
        return wanted
    if isinstance(wanted, float) and 0 < wanted < 1 and math.ceil(wanted * n) < n:
        return math.ceil(wanted * n)
    some = f"Use a number from 1 to {n - 1} or a fraction between 0.0 and 1.0, or " if n > 1 else "Use "
    raise SettingError(
        f"data.{split}={'null' if wanted is None else wanted} cannot be used for data={name}, which has {n} images to "
        f"take {split} images out of and must keep some to train on. {some}0 for none."
    )


def split_stream(split_seed: int, split: str) -> torch.Generator:
    """The stream that draws the images of ``split``, "test" or "validation"."""
    return stream(split_seed, "split", ("test", "validation").index(split))


def stratified_split(
    split: str, labels: Tensor, size: int, generator: torch.Generator, *, name: str, classes: tuple[str, ...],
    all_labels: Tensor,
) -> Tensor:  # fmt: skip
    """Sorted index ``(size,)`` of images to hold out, so that each class keeps its share on both sides.

    Args:
        split: "test" or "validation", for messages.
        labels: ``(n,)`` int64.
        size: images to hold out.
        generator: draws them.
        name: of the data, for messages.
        classes: names of the classes.
        all_labels: before anything was held out, for messages.

    Raises:
        SettingError: there are fewer of them than classes.
        DataError: a class has too few images to be on both sides.
    """
    if size < len(classes):
        raise SettingError(
            f"data.{split} asks for {size} {split} images of data={name}, too few: every one of its "
            f"{len(classes)} classes needs one. Use {len(classes)} or more."
        )
    index = stratified(labels, size, generator)
    remaining = torch.bincount(labels, minlength=len(classes)) - torch.bincount(labels[index], minlength=len(classes))
    if not remaining.all():
        scarce = int((remaining == 0).nonzero()[0])
        raise DataError(
            f"data={name}: class {classes[scarce]!r} has only {int((all_labels == scarce).sum())} of the images, "
            "too few to be split into training, validation and test images with one at least in each. Add images of "
            "it, leave the class out, or lower data.validation or data.test."
        )
    return index


def standardisation(stored: ImageSet, maximum: float | None) -> tuple[Tensor, Tensor]:
    """Offset and factor that give each feature of the training images mean 0 and standard deviation 1.

    A deviation below a floor counts as the floor. On a known scale that is 0.01 of it; elsewhere, where features may be
    of different units, 0.01 of what the feature differs from its mean at most, or 1 for one that never changes.

    Args:
        stored: training images whose features are their pixels.
        maximum: stored value that stands for 1.0; None: not known.

    Returns:
        Two of ``(n_features,)`` float32, in stored units and their inverse.
    """
    n = len(stored)  # summed in float64, but never all of it in memory at once
    mean = sum((chunk.double().sum(0) for chunk in stored.chunks()), torch.zeros(1)) / n
    squares, furthest = torch.zeros(1), torch.zeros(1)
    for chunk in stored.chunks():
        differences = chunk - mean
        squares = squares + differences.square().sum(0)
        if maximum is None:
            furthest = torch.maximum(furthest, differences.abs().amax(0))
    deviation = (squares / n).sqrt().float()
    if maximum is not None:
        return mean.float(), 1 / deviation.clamp(min=STD_FLOOR * maximum)
    deviation = torch.maximum(deviation, STD_FLOOR * furthest.float())
    never_changes = furthest <= 1e-6 * mean.abs()  # of float32 values that are equal, but for rounding of their mean
    return mean.float(), 1 / torch.where(never_changes, 1.0, deviation)
