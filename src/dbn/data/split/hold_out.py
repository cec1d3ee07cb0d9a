"""Size and choice of held-out images, and standardisation of features."""

import math

import torch
from torch import Tensor

from dbn.data.images import ImageSet
from dbn.data.split.strata import stratified
from dbn.errors import DataError, SettingError
from dbn.random.streams import stream

STD_FLOOR = 1e-2
"""Smallest standard deviation on the [0, 1] scale: nearly constant features must not become huge in test images."""


def split_size(split: str, wanted: int | float | None, n: int, name: str) -> int:
    """Number of images to hold out of ``n`` for ``data.<split>=<wanted>``.

    Raises:
        SettingError: ``wanted`` is invalid, or leaves no training images.
    """
    if isinstance(wanted, int) and not isinstance(wanted, bool) and 0 <= wanted < n:
        return wanted
    if isinstance(wanted, float) and 0 < wanted < 1 and math.ceil(wanted * n) < n:
        return math.ceil(wanted * n)
    advice = f"Use a number from 1 to {n - 1} or a fraction between 0.0 and 1.0, or " if n > 1 else "Use "
    raise SettingError(
        f"data.{split}={'null' if wanted is None else wanted} cannot be used for data={name}, which has {n} images to "
        f"take {split} images out of and must keep some to train on. {advice}0 for none."
    )


def check_one_each(split: str, size: int, name: str, n_classes: int) -> None:
    """Raise :class:`SettingError` if ``size`` held-out images are fewer than the classes."""
    if size < n_classes:
        raise SettingError(
            f"data.{split} asks for {size} {split} images of data={name}, too few: every one of its {n_classes} "
            f"classes needs one. Use {n_classes} or more."
        )


def split_stream(split_seed: int, split: str) -> torch.Generator:
    """Generator that draws the images of ``split``, "test" or "validation"."""
    return stream(split_seed, "split", ("test", "validation").index(split))


def stratified_split(
    split: str, labels: Tensor, size: int, generator: torch.Generator, *, name: str, classes: tuple[str, ...],
    all_labels: Tensor,
) -> Tensor:  # fmt: skip
    """Sorted index ``(size,)`` of images to hold out, stratified by class.

    Args:
        split: "test" or "validation", for messages.
        labels: ``(n,)`` int64.
        size: images to hold out.
        generator: draws them.
        name: of the data, for messages.
        classes: names of the classes.
        all_labels: labels before any images were held out, for messages.

    Raises:
        SettingError: ``size`` is less than the number of classes.
        DataError: a class has too few images to be in both parts.
    """
    check_one_each(split, size, name, len(classes))
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


def offset_and_factor(stored: ImageSet, maximum: float | None, *, standardise: bool) -> tuple[Tensor, Tensor]:
    """Offset and factor of the features, ``feature = (pixel - offset) * factor``.

    Args:
        stored: training images whose features are their pixels.
        maximum: stored value that stands for 1.0; None: unknown, for standardised features only.
        standardise: use :func:`standardisation`; otherwise divide by ``maximum``.
    """
    if standardise:
        return standardisation(stored, maximum)
    assert maximum is not None
    return torch.tensor(0.0), torch.tensor(1 / maximum)


def standardisation(stored: ImageSet, maximum: float | None) -> tuple[Tensor, Tensor]:
    """Offset and factor that give each feature of the training images mean 0 and standard deviation 1.

    Standard deviations are floored: at 0.01 ``maximum`` if that is known; otherwise, since features may have different
    units, at 0.01 of the feature's largest deviation from its mean, and at 1 for constant features.

    Args:
        stored: training images whose features are their pixels.
        maximum: stored value that stands for 1.0; None: unknown.

    Returns:
        Offset and factor, ``(n_features,)`` float32 each, in stored units and their inverse.
    """
    n = len(stored)  # sums in float64, a chunk at a time
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
    constant = furthest <= 1e-6 * mean.abs()  # up to rounding of the mean
    return mean.float(), 1 / torch.where(constant, 1.0, deviation)
