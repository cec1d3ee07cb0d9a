"""Feature maps: flat states and fields seen as pictures, without a copy.

The units of a convolutional layer have the shape (height, width, maps): the maps of a position lie side by side, which
is how convolutions compute fastest (torch's ``channels_last``). Images have (channels, height, width), as they are
stored. Both are flat, ``(batch, n)``, wherever they are states, fields or features.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dbn.errors import SettingError


def as_pictures(x: Tensor, shape: Sequence[int], *, maps_first: bool = False) -> Tensor:
    """Flat states as torch's convolutions take them, a view.

    Args:
        x: ``(batch, n)``.
        shape: (height, width, maps), or, with ``maps_first``, (channels, height, width).
        maps_first: whether the channels come first.

    Returns:
        ``(batch, maps, height, width)``, channels last in memory unless they come first in ``shape``.
    """
    if maps_first and shape[0] > 1:
        pictures: Tensor = x.unflatten(-1, tuple(shape))
        return pictures
    height, width, maps = (*shape[1:], 1) if maps_first else shape  # of one channel both orders are the same memory
    last: Tensor = x.unflatten(-1, (height, width, maps))
    return last.movedim(-1, 1)


def flattened(pictures: Tensor, *, maps_first: bool = False) -> Tensor:
    """Pictures ``(batch, maps, height, width)`` as flat states; a copy only where memory has another order."""
    return pictures.flatten(1) if maps_first else pictures.movedim(1, -1).flatten(1)


def checked_maps(name: str, shape: int | Sequence[int], *, maps_first: bool) -> tuple[int, int, int]:
    """Height, width and maps of units.

    Args:
        name: of what needs them, for the message.
        shape: of the units.
        maps_first: whether the channels come first in ``shape``.

    Raises:
        SettingError: the units have no two dimensions in space, or a side is no positive whole number.
    """
    sides = tuple(shape) if isinstance(shape, Sequence) else (shape,)
    order = "(channels, height, width)" if maps_first else "(height, width, maps)"
    if len(sides) != 3:
        raise SettingError(
            f"{name}: it needs units that lie as pictures, {order}; these have the shape "
            f"{'x'.join(map(str, sides))}. Put convolutional layers below dense ones, and give them images."
        )
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in sides):
        raise SettingError(f"{name}: shape={shape!r}: {order} must be whole numbers from 1.")
    if maps_first:
        maps, height, width = sides
        return height, width, maps
    height, width, maps = sides
    return height, width, maps


def channels_last(weight: Tensor) -> Tensor:
    """Filters ``(maps, channels, kernel, kernel)`` in the order of memory that convolutions of flat states take."""
    return weight.contiguous(memory_format=torch.channels_last)
