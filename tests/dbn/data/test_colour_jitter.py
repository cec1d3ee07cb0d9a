"""Brightness, contrast and saturation against closed forms, and against Pillow's enhancers."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from torch import Tensor

from dbn.data.colour_jitter import colour_jitter
from dbn.random.streams import stream

ENHANCERS = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "saturation": ImageEnhance.Color,
}
NONE = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0}


def bytes_of_images(n: int, channels: int = 3) -> NDArray[np.uint8]:
    """``(n, channels, 6, 8)``."""
    return np.random.default_rng(0).integers(0, 256, (n, channels, 6, 8), dtype=np.uint8)


def factors(n: int, *largest: float) -> list[NDArray[np.float64]]:
    """What the stream gives for each setting in turn: even between ``1 - m`` and ``1 + m``."""
    generator = stream(0, "augment")
    return [1 + (2 * torch.rand(n, generator=generator).double().numpy() - 1) * own for own in largest]


@pytest.mark.parametrize("name", ENHANCERS)
def test_each_is_what_pillow_does(name: str) -> None:
    """Pillow rounds results down to bytes, and the mean grey value to a byte: up to two of 255."""
    images = bytes_of_images(40)
    changed = colour_jitter(torch.from_numpy(images) / 255, **{**NONE, name: 0.9}, generator=stream(0, "augment"))
    for image, own, factor in zip(images, changed, factors(40, 0.9)[0], strict=True):
        picture = ENHANCERS[name](Image.fromarray(image.transpose(1, 2, 0))).enhance(float(factor))
        expected = np.asarray(picture).transpose(2, 0, 1)
        assert np.abs(own.numpy() * 255 - expected).max() <= 2
        assert np.abs(own.numpy() * 255 - image).max() > 5 * abs(factor - 1)  # it did change


def closed_form(image: NDArray[np.float64], brightness: float, contrast: float, saturation: float) -> object:
    """One image ``(3, height, width)`` in float64, as torchvision documents its ``adjust_...``."""

    def grey(own: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.tensordot([0.2989, 0.587, 0.114], own, axes=1)

    image = np.clip(image * brightness, 0, 1)
    image = np.clip(contrast * image + (1 - contrast) * grey(image).mean(), 0, 1)
    return np.clip(saturation * image + (1 - saturation) * grey(image), 0, 1)


def test_all_three_are_brightness_then_contrast_then_saturation() -> None:
    images = bytes_of_images(40) / 255
    changed = colour_jitter(torch.from_numpy(images).float(), 0.4, 0.5, 0.6, stream(0, "augment"))
    for image, own, *drawn in zip(images, changed, *factors(40, 0.4, 0.5, 0.6), strict=True):
        np.testing.assert_allclose(own.numpy(), closed_form(image, *drawn), rtol=0, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2])
def test_without_three_channels_the_grey_value_is_their_mean(channels: int) -> None:
    images = bytes_of_images(30, channels) / 255
    changed = colour_jitter(torch.from_numpy(images).float(), 0, 0.8, 0, stream(0, "augment"))
    for image, own, factor in zip(images, changed, factors(30, 0.8)[0], strict=True):
        np.testing.assert_allclose(
            own.numpy(), np.clip(factor * image + (1 - factor) * image.mean(), 0, 1), rtol=0, atol=1e-6
        )


def test_factors_fill_their_range_evenly() -> None:
    n, pixel = 40_000, torch.full((1, 1, 1, 1), 0.25)
    found = colour_jitter(pixel.expand(n, -1, -1, -1), 0.6, 0, 0, stream(0, "augment")).flatten() / 0.25
    assert found.min() >= 0.4
    assert found.max() <= 1.6
    assert abs(found.mean() - 1) < 4 * (0.6 / 3**0.5) / n**0.5
    quarters: Tensor = torch.histc(found, 4, 0.4, 1.6) / n
    assert (quarters - 0.25).abs().max() < 4 * (0.25 * 0.75 / n) ** 0.5
