"""Augmentations that images cannot have: the message names the setting and a cure that works."""

import re

import pytest
import torch

from dbn.data import DataSet, Source, digits, load_data
from dbn.data.augment import Augment
from dbn.data.check_augment import check_augmentable
from dbn.errors import SettingError


def floats(low: float, high: float, channels: int = 3, maximum: float | None = None) -> DataSet:
    """Standardised images of floats from ``low`` to ``high``."""
    images = low + (high - low) * torch.rand(40, channels, 8, 8)
    return load_data(Source("mine", images, maximum=maximum), standardise=True)


def test_saturation_needs_colours(digits_data: DataSet) -> None:
    with pytest.raises(
        SettingError, match=r"augment\.saturation=0\.4: images of data=digits have one channel"
    ) as error:
        check_augmentable(digits_data, Augment(saturation=0.4), "augment")
    assert "augment.saturation=0" in str(error.value)
    check_augmentable(digits_data, Augment(brightness=0.4, contrast=0.4), "augment")
    with pytest.raises(SettingError, match=r"x\.saturation=1: images of data=mine have 4 channels"):
        check_augmentable(floats(0, 1, channels=4), Augment(saturation=1), "x")


def test_a_crop_keeps_some_of_the_image(digits_data: DataSet) -> None:
    with pytest.raises(SettingError, match=r"stack\.augment\.crop=8: .* 8x8 pixels") as error:
        check_augmentable(digits_data, Augment(crop=8), "stack.augment")
    advised = re.search(r"Use stack\.augment\.crop=(\d+)", str(error.value))
    assert advised is not None
    for crop in (int(advised[1]), 7):
        check_augmentable(digits_data, Augment(crop=crop), "stack.augment")


@pytest.mark.parametrize(("low", "high", "maximum"), [(-1, 1, None), (0, 2, 1.0)])
def test_colours_need_intensities(low: float, high: float, maximum: float | None) -> None:
    data = floats(low, high, maximum=maximum)
    with pytest.raises(SettingError, match=r"augment: stored values of data=mine go from .* augment\.contrast=0"):
        check_augmentable(data, Augment(contrast=0.1), "augment")
    check_augmentable(data, Augment(crop=1, flip=0.5, rotation=3), "augment")


@pytest.mark.parametrize(("high", "maximum"), [(1, None), (1000, None), (1000, 4095.0)])
def test_standardised_intensities_are_intensities(high: float, maximum: float | None) -> None:
    """Although their features lie on both sides of 0."""
    check_augmentable(floats(0, high, maximum=maximum), Augment(saturation=0.1), "augment")


def test_bytes_are_intensities() -> None:
    check_augmentable(load_data(digits(), standardise=True), Augment(brightness=0.1), "augment")
