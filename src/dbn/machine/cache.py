"""Computing by parts that stay in a processor's cache."""

from collections.abc import Iterator

from torch import Tensor

NUMBERS = 2**19
"""Numbers of the largest tensor in a part: with its companions about as much as a core's own cache holds, 2 MiB.

Smaller parts cost calls of torch, larger ones memory traffic, and pages fresh from the system for results in between.
"""


def cached_parts(*states: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Rows of states ``(batch, n)``, a few at a time, as views; on a GPU, or where there are few, all at once.

    Args:
        states: tensors with the same number of rows; the first says how large they are.
    """
    first = states[0]
    rows = max(1, NUMBERS // max(1, first.shape[-1]))
    if first.device.type != "cpu" or first.shape[0] <= rows:
        yield states
        return
    yield from zip(*(own.split(rows) for own in states), strict=True)
