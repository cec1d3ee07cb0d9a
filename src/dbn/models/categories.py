"""Groups of categories side by side: one-hot states and their means, of softmax units and of the softmax activation."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dbn.errors import SettingError


def check_categories(key: str, categories: Any, size: int | None = None) -> list[int]:
    """Number of categories of each group.

    Args:
        key: name of the setting, for messages.
        categories: the same number for all groups, or a list with that of each.
        size: number of units; None: unknown.

    Raises:
        SettingError: a group has fewer than two, or together they are not as many as the units.
    """
    alike = isinstance(categories, int) and not isinstance(categories, bool)
    sizes = [categories] if alike else categories
    if not isinstance(sizes, Sequence) or isinstance(sizes, str) or not sizes or not all(map(_is_count, sizes)):
        raise SettingError(
            f"{key}={categories!r}: give the number of categories of all groups, or a list with that of each, from 2."
        )
    if size is None:
        return list(sizes)
    if alike and size % categories == 0:
        return [categories] * (size // categories)
    if alike or sum(sizes) != size:
        total = f"a multiple of {categories}" if alike else str(sum(sizes))
        raise SettingError(f"{key}={categories!r}: there are {size} units, which should be {total}.")
    return list(sizes)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 2


def by_group(x: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """Units ``(..., n)`` by group: ``(..., groups, categories)`` where groups are of one size, else one at a time."""
    if len(set(sizes)) == 1:
        return [x.unflatten(-1, (len(sizes), sizes[0]))]
    return [part.unsqueeze(-2) for part in x.split(list(sizes), -1)]


def joined(parts: Sequence[Tensor], out: Tensor | None = None) -> Tensor:
    """Inverse of :func:`by_group`, ``(..., n)``, written to ``out`` if given, which no part may overlap."""
    flat = [part.flatten(-2) for part in parts]
    if len(flat) > 1:
        return torch.cat(flat, -1, out=out)
    return flat[0] if out is None else out.copy_(flat[0])


def softmax(x: Tensor, sizes: Sequence[int], out: Tensor | None = None) -> Tensor:
    """Probability of each category of its group, ``(..., n)`` -> ``(..., n)``."""
    return joined([part.softmax(-1) for part in by_group(x, sizes)], out)
