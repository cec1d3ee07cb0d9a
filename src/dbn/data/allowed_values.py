"""Checks of the range of features against the interval that a model's units allow."""

import math
from collections.abc import Mapping

import torch

from dbn.data.images import StoredImages
from dbn.data.streamed.images import StreamedImages
from dbn.data.tensors import at_least, usual
from dbn.errors import DataError

Interval = tuple[float, float]
"""Smallest and largest allowed value; either may be infinite."""
UNIT: Interval = (0.0, 1.0)
ROUNDING = 5e-7
"""Tolerance: in float32, ``x * (1 / x)`` may exceed 1 by 1.2e-7, and messages suggest a maximum of six digits."""


def check_unit_interval(images: StoredImages, *, data_name: str, split: str = "training") -> None:
    """Raise unless features lie in [0, 1], as Bernoulli visible units require (a feature is a probability).

    Args:
        images: images to train on or to evaluate; may be empty.
        data_name: for the message.
        split: "training", "validation" or "test", for the message.

    Raises:
        DataError: a feature lies outside [0, 1], or is not finite.
    """
    check_interval({split: images}, UNIT, data_name=data_name, needed_by="stack.visible=bernoulli")


def check_interval(splits: Mapping[str, StoredImages], allowed: Interval, *, data_name: str, needed_by: str) -> None:
    """Raise unless the features of all splits lie in an interval.

    Images are read once, in chunks; bytes that lie in the interval whatever their values are not read.

    Args:
        splits: training, validation and test images by these names; any of them may be empty.
        allowed: the interval.
        data_name: for the message.
        needed_by: the setting that requires the interval, for the message.

    Raises:
        DataError: a feature lies outside, or is not finite. The message names the first split with such a feature, the
            range of its features, and a ``data.maximum`` that brings every split inside if there is one.
    """
    ranges = {}
    for split, images in splits.items():
        found = range_outside(images, allowed, f"data={data_name}: the {split} images")
        if found is not None:
            ranges[split] = found
    if not ranges:
        return
    split, (low, high) = next(iter(ranges.items()))
    bounded = math.isfinite(allowed[1])
    needed = f"[{allowed[0]:g}, {allowed[1]:g}]" if bounded else f"values from {allowed[0]:g}"
    raise DataError(
        f"data={data_name}: features of the {split} images go from {low:.6g} to {high:.6g}, but {needed_by} needs "
        f"{needed}, in training, validation and test images alike. {_cure(splits, ranges, allowed)}"
    )


def range_outside(images: StoredImages, allowed: Interval, name: str) -> Interval | None:
    """Smallest and largest feature if one of them lies outside ``allowed``; otherwise None.

    Args:
        images: may be empty.
        allowed: the interval; if it is infinite, only values that are not finite are searched for.
        name: name of the images in messages.

    Raises:
        DataError: a feature is not finite.
    """
    if len(images) == 0:
        return None
    if images.dtype == torch.uint8:  # features increase with pixels: 0 and 255 bound them
        ends = (torch.tensor([[0], [255]], device=images.offset.device) - images.offset) * images.factor
        if lies_in(float(ends.min()), float(ends.max()), allowed):
            return None
    if isinstance(images, StreamedImages) and allowed == (-math.inf, math.inf):
        return None  # RowReader refuses values that are not finite
    smallest, largest, start = math.inf, -math.inf, 0
    for chunk in images.chunks():
        low, high = (float(end) for end in torch.aminmax(chunk))  # NaN if there is one
        if not (math.isfinite(low) and math.isfinite(high)):
            bad = (~torch.isfinite(chunk)).any(1)
            what = "NaN" if math.isnan(low) else "infinite values (or values too large for float32)"
            raise DataError(
                f"{name} hold {what}: the first is image {start + int(bad.nonzero()[0])} (counted from 0). Repair or "
                "remove such images."
            )
        smallest, largest, start = min(smallest, low), max(largest, high), start + len(chunk)
    return None if lies_in(smallest, largest, allowed) else (smallest, largest)


def lies_in(low: float, high: float, allowed: Interval) -> bool:
    """Whether values from ``low`` to ``high`` are allowed, with tolerance :data:`ROUNDING`."""
    return low >= allowed[0] - ROUNDING and high <= allowed[1] + ROUNDING


def is_standardised(images: StoredImages) -> bool:
    """Whether features are standardised, so that their offset is not 0."""
    return images.offset.ndim > 0 or bool(images.offset.count_nonzero())


def _cure(splits: Mapping[str, StoredImages], ranges: Mapping[str, Interval], allowed: Interval) -> str:
    """Advice for features outside the allowed interval."""
    first = splits[next(iter(ranges))]
    if is_standardised(first):
        return (
            "Standardised features (data.standardise=true) are for real visible units: set stack.visible=gaussian as "
            "well (as_data for a table), or data.standardise=false."
        )
    real = "stack.visible=gaussian with data.standardise=true"
    if min(low for low, _ in ranges.values()) < allowed[0]:
        return f"Use {real}, or shift and scale the images."
    largest = max(high / float(splits[split].factor.max()) for split, (_, high) in ranges.items())
    return (
        f"Set the stored value that stands for 1: data.maximum={at_least(largest)}, if that is the largest there can "
        f"be{usual(largest)}. Or use {real}."
    )
