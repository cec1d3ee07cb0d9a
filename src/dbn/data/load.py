"""From what a reader of files returned to a data set: split, flattened, scaled."""

import math

import torch
from torch import Tensor

from dbn.data.images import DataSet, Images
from dbn.data.source import Source
from dbn.data.strata import stratified
from dbn.errors import DataError, SettingError
from dbn.streams import stream

STD_FLOOR = 1e-2  # of the [0, 1] scale: features that (almost) never change in training must not explode in testing


def load_data(
    source: Source,
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
        source: images as read.
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
    train = (source.train_images.flatten(1).contiguous(), source.train_labels)
    if source.test_images is not None:
        held_out = (source.test_images.flatten(1).contiguous(), source.test_labels)
    else:
        size = _size("test", test, len(train[0]), source.name)
        train, held_out = _take_out("test", *train, size, split_seed, source)
    if source.validation_images is not None:
        tuning = (source.validation_images.flatten(1).contiguous(), source.validation_labels)
    else:
        size = _size("validation", validation, len(train[0]), source.name)
        train, tuning = _take_out("validation", *train, size, split_seed, source)

    if standardise:
        offset, std = _mean_and_std(train[0])
        factor = 1 / std.clamp(min=STD_FLOOR * source.maximum)
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


def _size(split: str, wanted: int | float | None, n: int, name: str) -> int:
    """How many of ``n`` images ``data.<split>=<wanted>`` asks for."""
    smallest = 0 if split == "validation" else 1
    if isinstance(wanted, int) and not isinstance(wanted, bool) and smallest <= wanted < n:
        return wanted
    if isinstance(wanted, float) and 0 < wanted < 1 and math.ceil(wanted * n) < n:
        return math.ceil(wanted * n)
    none = ", or 0 for none" if split == "validation" else ""
    raise SettingError(
        f"data.{split}={'null' if wanted is None else wanted} cannot be used for data={name}, which has {n} images to "
        f"take {split} images out of and must keep some to train on. Use a number from 1 to {n - 1} or a fraction "
        f"between 0.0 and 1.0{none}."
    )


Split = tuple[Tensor, Tensor | None]  # pixels (n, n_features), labels (n,)


def _take_out(
    split: str, pixels: Tensor, labels: Tensor | None, size: int, split_seed: int, source: Source
) -> tuple[Split, Split]:
    """What remains of the images, and ``size`` of them taken out; both in random order."""
    if size == 0:
        return (pixels, labels), (pixels[:0], None if labels is None else labels[:0])
    generator = stream(split_seed, "split", ("test", "validation").index(split))
    order = torch.randperm(len(pixels), generator=generator)  # so that the first images of a split are a fair sample
    out = torch.zeros(len(pixels), dtype=torch.bool)
    if labels is None:
        out[torch.randperm(len(pixels), generator=generator)[:size]] = True
    else:
        if size < len(source.classes):
            raise SettingError(
                f"data.{split} asks for {size} {split} images of data={source.name}, too few: every one of its "
                f"{len(source.classes)} classes needs one. Use {len(source.classes)} or more."
            )
        out[stratified(labels, size, generator)] = True
        remaining = torch.bincount(labels[~out], minlength=len(source.classes))
        if not remaining.all():
            scarce = int((remaining == 0).nonzero()[0])
            assert source.train_labels is not None  # labels come from there
            raise DataError(
                f"data={source.name}: class {source.classes[scarce]!r} has only "
                f"{int((source.train_labels == scarce).sum())} of the images, too few to be split into training, "
                "validation and test images with one at least in each. Add images of it, leave the class out, "
                "or lower data.validation or data.test."
            )
    kept, taken = order[~out[order]], order[out[order]]
    if labels is None:
        return (pixels[kept], None), (pixels[taken], None)
    return (pixels[kept], labels[kept]), (pixels[taken], labels[taken])


def _mean_and_std(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (population) standard deviation of each feature, ``(n_features,)`` float32, in stored units."""
    # summed in float64, but never all of it in memory at once
    chunks = [pixels[start : start + 4096] for start in range(0, len(pixels), 4096)]
    mean = torch.stack([chunk.double().sum(0) for chunk in chunks]).sum(0) / len(pixels)
    variance = torch.stack([(chunk - mean).square().sum(0) for chunk in chunks]).sum(0) / len(pixels)
    return mean.float(), variance.sqrt().float()
