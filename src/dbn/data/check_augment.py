"""Checks that the images of a data set can be augmented as a configuration says."""

import torch

from dbn.data.augment import Augment
from dbn.data.images import DataSet
from dbn.errors import SettingError

ROUNDING = 1e-5
"""Tolerance, of what stands for 1: standardised features have lost digits of the stored values."""


def check_augmentable(data: DataSet, augment: Augment, key: str) -> None:
    """Refuse an augmentation that a data set's images cannot have.

    Args:
        data: images, no table.
        augment: the augmentation.
        key: dotted name of the group of its settings, for the message.

    Raises:
        SettingError: crops are as far from their place as an image is wide; the saturation of images without colours
            would change; or the intensities of images whose stored values lie outside 0 to what stands for 1.
    """
    channels, height, width = data.shape
    side = min(height, width)
    if augment.crop >= side:
        raise SettingError(
            f"{key}.crop={augment.crop}: images of data={data.name} have {height}x{width} pixels, and a crop that is "
            f"moved by {side} or more may show none of them. Use {key}.crop={side // 8}, or less."
        )
    if augment.saturation and channels != 3:
        has = "one channel" if channels == 1 else f"{channels} channels"
        raise SettingError(
            f"{key}.saturation={augment.saturation:g}: images of data={data.name} have {has}, and only red, green and "
            f"blue have a saturation. Use {key}.saturation=0, or images with three channels: "
            "data=image_folder reads them with data.grey=false."
        )
    if augment.changes_colour:
        low, high = intensities_of(data)
        if low < -ROUNDING or high > 1 + ROUNDING:
            settings = [f"{key}.{name}=0" for name in ("brightness", "contrast", "saturation")]
            raise SettingError(
                f"{key}: stored values of data={data.name} go from {low:.4g} to {high:.4g} times what stands for 1; "
                f"brightness, contrast and saturation need intensities from 0 to 1. Use {' '.join(settings)}, or give "
                "images without negative values, and the largest possible value as data.maximum."
            )


def intensities_of(data: DataSet) -> tuple[float, float]:
    """Smallest and largest intensity of the training images; of bytes, which bound them, without reading these."""
    scaling, images = data.scaling, data.train
    if images.dtype == torch.uint8 and scaling.value_of_one >= 255:
        return 0.0, 1.0
    low, high = 0.0, 0.0
    for chunk in images.chunks():
        smallest, largest = torch.aminmax(scaling.intensities(chunk))
        low, high = min(low, float(smallest)), max(high, float(largest))
    return low, high
