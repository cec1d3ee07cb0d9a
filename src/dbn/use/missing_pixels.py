"""Which pixels of an image are missing: a box, or a picture that shows them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dbn.data.sources.picture_file import PictureReader
from dbn.errors import SettingError

WHITE = 128
"""Grey value from which a pixel of a mask counts as white."""


def missing_pixels(mask: str | Sequence[int] | None, shape: tuple[int, int, int]) -> Tensor:
    """Which pixels ``mask`` says are missing, in all channels, ``(n_features,)`` bool.

    Args:
        mask: a picture's file, in which white pixels are missing; or ``[top, left, height, width]`` of a box; None:
            none are.
        shape: channels, height, width of the images.

    Raises:
        SettingError: the box does not lie within the image, or the picture has another size.
        DataError: the file cannot be read as a picture.
    """
    channels, height, width = shape
    missing = torch.zeros(height, width, dtype=torch.bool)
    if isinstance(mask, str):
        pixels = PictureReader(grey=True, background=(0, 0, 0)).read(Path(mask).expanduser())
        if pixels.shape != (1, height, width):
            raise SettingError(
                f"mask={mask}: this picture is {pixels.shape[2]} x {pixels.shape[1]} pixels (width x height), but the "
                f"images are {width} x {height}. Use one of their size."
            )
        missing = torch.from_numpy(pixels[0] >= WHITE)
    elif mask is not None:
        top, left, rows, columns = mask
        if top + rows > height or left + columns > width:
            raise SettingError(
                f"mask={_words(mask)}: rows {top} to {top + rows - 1} and columns {left} to {left + columns - 1} do "
                f"not all lie within images of {height} rows and {width} columns. It is [top,left,height,width]."
            )
        missing[top : top + rows, left : left + columns] = True
    return missing.expand(channels, height, width).flatten()


def _words(mask: Sequence[Any]) -> str:
    return f"[{','.join(map(str, mask))}]"
