"""Pixels of a picture file, as a viewer shows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps

from dbn.errors import DataError, SettingError
from dbn.settings import check_number

MODES_16_BIT = {"I;16", "I;16B", "I;16L", "I;16N"}
"""Pillow's modes of 16-bit grey."""
FORMATS_16_BIT = {"PNG", "PPM"}
"""Formats whose 16-bit pixels older versions of Pillow return in the 32-bit mode ``I``."""
LARGEST_SIDE = 10_000


@dataclass(frozen=True)
class PictureReader:
    """Reads pictures as a viewer shows them, with 256 levels.

    - Transparent pixels, also of palettes, are blended with the background.
    - The EXIF orientation is applied.
    - 16-bit grey is rounded to 8 bits: 0 to 65535 becomes 0 to 255.
    - Of several frames or pages, the first is read.
    - Palettes, 1-bit, CMYK and YCbCr pictures are converted to grey (ITU-R 601 luma) or RGB. Colour profiles are
      ignored.

    Attributes:
        grey: one channel; otherwise red, green and blue.
        background: red, green and blue, 0 to 255, of the colour behind transparent pixels.
        size: height and width to resize pictures to, with Pillow's antialiasing bilinear filter; None: no resizing.
    """

    grey: bool
    background: tuple[int, int, int]
    size: tuple[int, int] | None = None

    def read(self, file: Path) -> NDArray[np.uint8]:
        """Pixels of a file, ``(channels, height, width)``.

        Raises:
            DataError: it cannot be read as an image, or has 32-bit values, whose range is unknown.
        """
        try:
            with Image.open(file) as opened:
                image = self._flat(_upright(opened), file)
        except DataError:
            raise
        except (OSError, SyntaxError, ValueError, EOFError, TypeError, Image.DecompressionBombError) as error:
            raise DataError(f"{file} cannot be read as an image ({error}). Replace it or take it away.") from error
        if self.grey:
            image = image.convert("L")
        if self.size is not None:
            image = image.resize(self.size[::-1], Image.Resampling.BILINEAR)
        pixels = np.asarray(image)
        return pixels[np.newaxis] if self.grey else pixels.transpose(2, 0, 1)

    def _flat(self, image: Image.Image, file: Path) -> Image.Image:
        """The picture blended with the background, in RGB."""
        if image.mode in MODES_16_BIT or (image.mode == "I" and image.format in FORMATS_16_BIT):
            image = _of_16_bits(image)
        elif image.mode[0] in "IF":
            raise DataError(
                f"{file} has pixels of more than 8 bits (mode {image.mode}), and nothing says which value is white. "
                "Save it with 8 bits, or with 16 as PNG, or put the images into an .npz file and use data=npz with "
                "data.maximum."
            )
        if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
            straight = image.convert("LA") if image.mode == "La" else image
            behind = Image.new("RGBA", image.size, (*self.background, 255))
            image = Image.alpha_composite(behind, straight.convert("RGBA"))
        return image.convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
    """The picture rotated by its EXIF orientation; keeps the format and the transparency of the file."""
    kind, transparency = image.format, image.info.get("transparency")
    image.load()
    turned = ImageOps.exif_transpose(image)
    turned.format = kind
    if transparency is not None:
        turned.info["transparency"] = transparency
    return turned


def _of_16_bits(image: Image.Image) -> Image.Image:
    """8-bit grey of a 16-bit picture, with an alpha channel if one value stands for transparency."""
    deep = np.asarray(image).astype(np.int64)
    pixels = ((deep + 128) // 257).astype(np.uint8)  # 65535 is 255 times 257
    transparency = image.info.get("transparency")
    if isinstance(transparency, int):
        alpha = np.where(deep == transparency, 0, 255).astype(np.uint8)
        return Image.fromarray(np.stack([pixels, alpha], -1))
    return Image.fromarray(pixels)


def background_colour(value: Any, key: str = "data.background") -> tuple[int, int, int]:
    """Red, green and blue of ``data.background``.

    Args:
        value: a grey value from 0 to 255, a colour's name such as white, or #rrggbb.
        key: name of the setting, for the message.

    Raises:
        SettingError: an invalid value.
    """
    try:
        if isinstance(value, str) and not value.isdigit():
            colour = ImageColor.getrgb(value)
            if len(colour) == 3:
                return colour
        elif not isinstance(value, bool) and 0 <= (grey := int(value)) <= 255 and grey == float(value):
            return grey, grey, grey
    except (ValueError, TypeError, OverflowError):
        pass
    raise SettingError(
        f"{key}={value}: it must be white, black, another colour's name, a grey value from 0 to 255, or "
        '"#rrggbb" in quotation marks: \'data.background="#ff8000"\'.'
    )


def picture_size(value: Any) -> tuple[int, int] | None:
    """Height and width from ``data.size``: a number for both, a list of both, or None.

    Raises:
        SettingError: an invalid value.
    """
    if value is None:
        return None
    several = isinstance(value, Sequence) and not isinstance(value, str)  # Hydra's ListConfig is a Sequence, not a list
    sides = [value, value] if isinstance(value, int) else list(value) if several else []
    if len(sides) != 2:
        raise SettingError(f"data.size={value}: it must be one number, or height and width: 28, or '[28,20]', or null.")
    for side in sides:
        check_number("data.size", side, low=1, high=LARGEST_SIDE, whole=True)
    return sides[0], sides[1]
