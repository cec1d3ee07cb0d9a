"""What stored pixel values mean: the value that stands for 1.0 is known by the rules below, said, or asked for."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dbn.errors import DataError

USED = 128
"""Bytes use their range where one of them is as large: no other scale of whole numbers ends between here and 255."""
GAUSSIAN = "data.standardise=true stack.visible=gaussian"


@dataclass(frozen=True)
class Range:
    """Smallest and largest stored value.

    Attributes:
        low: smallest.
        high: largest.
        whole: stored as whole numbers, not as floating-point ones.
        whose: of which images, for messages.
    """

    low: float
    high: float
    whole: bool
    whose: str = "the images"

    @classmethod
    def of(cls, images: Iterable[Tensor], *, whole: bool | None = None, whose: str = "the images") -> "Range":
        """Of stored images, uint8 or float32, of any shape; those that are empty do not count.

        Args:
            images: training images first, then those that are held out.
            whole: whether they were whole numbers; None: uint8 were, float32 were not.
            whose: for messages.
        """
        there = [own for own in images if own.numel()]
        ends = [torch.aminmax(own) for own in there]
        if whole is None:
            whole = there[0].dtype == torch.uint8
        return cls(min(float(low) for low, _ in ends), max(float(high) for _, high in ends), whole, whose)

    def within(self, maximum: float) -> bool:
        """Whether all values lie between 0 and ``maximum``, as float32 knows it."""
        return self.low >= 0 and self.high <= float(torch.tensor(maximum, dtype=torch.float32))

    @property
    def magnitude(self) -> float:
        """The largest absolute value; 1 where all are 0."""
        return max(abs(self.low), abs(self.high)) or 1.0

    def __str__(self) -> str:
        return f"{exact(self.low)} to {exact(self.high)}"


def value_of_one(seen: Range, said: float | None, *, data_name: str, standardise: bool) -> float | None:
    """The stored value that stands for 1.0.

    - Said, ``data.maximum``: all images lie between 0 and it.
    - Whole numbers that are 0 or 1: 1. Whole numbers from 0 to 255 of which one is 128 or more: 255.
    - Floating-point numbers from 0 to 1: 1.
    - Anything else must be said. Values that are standardised may have any range.

    Args:
        seen: values of the training, validation and test images.
        said: ``data.maximum``, or None.
        data_name: for messages.
        standardise: every feature gets mean 0 and standard deviation 1.

    Returns:
        None where values are standardised and nothing says what stands for 1.0.

    Raises:
        DataError: values lie outside the range that was said, or their range has to be said.
    """
    if said is not None:
        if not standardise and not seen.within(said):
            raise DataError(
                f"data.maximum={exact(said)}: {seen.whose} of data={data_name} go from {seen}, outside 0 to "
                f"{exact(said)}. {cure(seen, known=said)}"
            )
        return said
    if seen.within(1):
        return 1.0
    if seen.whole and seen.within(255) and seen.high >= USED:
        return 255.0
    if standardise:
        return None
    raise DataError(
        f"data.maximum=null: {seen.whose} of data={data_name} go from {seen}, and what stands for 1.0 is not guessed. "
        f"Known by themselves are values from 0 to 1, and whole numbers from 0 to 255 where one is {USED} or more. "
        f"{cure(seen)}"
    )


def cure(seen: Range, known: float | None = None) -> str:
    """What to do about a range that cannot be used; ``known`` was said and does not fit."""
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
