"""The stored value that stands for 1.0: inferred from the range of values where that is unambiguous, else required."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dbn.errors import DataError

LARGE_BYTE = 128
"""If one byte is this large, the scale is taken to be 0 to 255: no other common scale ends between this and 255."""
GAUSSIAN = "data.standardise=true stack.visible=gaussian"


@dataclass(frozen=True)
class Range:
    """Smallest and largest stored value.

    Attributes:
        low: smallest.
        high: largest.
        whole: whether values are stored as whole numbers.
        whose: description of the images, for messages.
    """

    low: float
    high: float
    whole: bool
    whose: str = "the images"

    @classmethod
    def of(cls, images: Iterable[Tensor], *, whole: bool | None = None, whose: str = "the images") -> "Range":
        """Range of stored images, uint8 or float32, of any shape; empty ones are skipped.

        Args:
            images: training images first, then held-out ones.
            whole: whether values are stored as whole numbers; None: if the first tensor is uint8.
            whose: description of the images, for messages.
        """
        there = [own for own in images if own.numel()]
        ends = [torch.aminmax(own) for own in there]
        if whole is None:
            whole = there[0].dtype == torch.uint8
        return cls(min(float(low) for low, _ in ends), max(float(high) for _, high in ends), whole, whose)

    def within(self, maximum: float) -> bool:
        """Whether all values lie between 0 and ``maximum``, rounded to float32."""
        return self.low >= 0 and self.high <= float(torch.tensor(maximum, dtype=torch.float32))

    @property
    def magnitude(self) -> float:
        """The largest absolute value; 1 where all are 0."""
        return max(abs(self.low), abs(self.high)) or 1.0

    def __str__(self) -> str:
        return f"{exact(self.low)} to {exact(self.high)}"


def value_of_one(seen: Range, maximum: float | None, *, data_name: str, standardise: bool) -> float | None:
    """The stored value that stands for 1.0.

    - ``maximum`` if given; all values must lie between 0 and it, unless they are standardised.
    - Whole numbers that are 0 or 1: 1. Whole numbers from 0 to 255 of which one is 128 or more: 255.
    - Floating-point numbers from 0 to 1: 1.
    - Otherwise None if values are standardised, else an error.

    Args:
        seen: range of the training, validation and test images.
        maximum: ``data.maximum``, or None.
        data_name: for messages.
        standardise: every feature gets mean 0 and standard deviation 1.

    Returns:
        The value, or None if values are standardised and their scale is unknown.

    Raises:
        DataError: values lie outside 0 to ``maximum``, or their scale is ambiguous.
    """
    if maximum is not None:
        if not standardise and not seen.within(maximum):
            raise DataError(
                f"data.maximum={exact(maximum)}: {seen.whose} of data={data_name} go from {seen}, outside 0 to "
                f"{exact(maximum)}. {cure(seen, known=maximum)}"
            )
        return maximum
    if seen.within(1):
        return 1.0
    if seen.whole and seen.within(255) and seen.high >= LARGE_BYTE:
        return 255.0
    if standardise:
        return None
    raise DataError(
        f"data.maximum=null: {seen.whose} of data={data_name} go from {seen}, and what stands for 1.0 is not guessed. "
        "Known by themselves are values from 0 to 1, and whole numbers from 0 to 255 where one is "
        f"{LARGE_BYTE} or more. {cure(seen)}"
    )


def cure(seen: Range, known: float | None = None) -> str:
    """Advice for an unusable range; ``known`` is the ``data.maximum`` that does not fit, if one was given."""
    if seen.low < 0:
        return (
            f"For real values set {GAUSSIAN}; pictures must not be negative: add {exact(-seen.low)} to every value and "
            f"set data.maximum={exact(seen.high - seen.low)}."
        )
    choices = [f"data.maximum={exact(seen.high)} if the largest value stands for 1.0"]
    for end, what in ((255, "bytes"), (65535, "16 bits")):
        if seen.high < end and (known is None or end > known):
            choices.append(f"data.maximum={end} if these are dark pictures of {what}")
            break
    return f"Set {', '.join(choices)}, or {GAUSSIAN} for real values."


def exact(value: float) -> str:
    """A number in the fewest digits that float32 reads back as the same number."""
    short = f"{value:g}"
    return short if np.float32(short) == np.float32(value) else str(np.float32(value))
