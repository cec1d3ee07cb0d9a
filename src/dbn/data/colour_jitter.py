"""Random changes of brightness, contrast and saturation."""

import torch
from torch import Tensor

GREY_OF_COLOUR = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in a grey value: luma of ITU-R BT.601."""


def colour_jitter(
    images: Tensor, brightness: float, contrast: float, saturation: float, generator: torch.Generator
) -> Tensor:
    r"""Images whose brightness, contrast and saturation, in this order, are multiplied by random factors.

    Each is a blend :math:`f x + (1 - f) y`, clamped to [0, 1], of an image with black, with its mean grey value, and
    with its own grey picture. The factor of an image is even between ``1 - m`` and ``1 + m``; where ``m`` is 0, nothing
    is drawn.

    Args:
        images: intensities in [0, 1], ``(batch, channels, height, width)``; three channels are red, green and blue.
            The grey value of a pixel with any other number of channels is their mean.
        brightness: largest relative change ``m``.
        contrast: likewise.
        saturation: likewise; of images with three channels only.
        generator: source of randomness, on the device of ``images``.

    Returns:
        Intensities in [0, 1] of the same shape.

    References:
        The transformations are torchvision's ``adjust_brightness``, ``adjust_contrast`` and ``adjust_saturation``;
        ``ColorJitter`` there draws their order as well. Howard (2013), *Some improvements on deep convolutional neural
        network based image classification*, section 2.2.
    """

    def factor(largest: float) -> Tensor:
        drawn = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device)
        return 1 + (2 * drawn - 1) * largest

    if brightness:
        images = (images * factor(brightness)).clamp(0, 1)
    if contrast:
        images = blend(images, grey(images).mean((1, 2, 3), keepdim=True), factor(contrast))
    if saturation:
        images = blend(images, grey(images), factor(saturation))
    return images


def blend(images: Tensor, others: Tensor, factor: Tensor) -> Tensor:
    """``factor * images + (1 - factor) * others``, clamped to [0, 1]."""
    return torch.lerp(others.expand_as(images), images, factor).clamp(0, 1)


def grey(images: Tensor) -> Tensor:
    """Grey values ``(batch, 1, height, width)`` of images ``(batch, channels, height, width)``."""
    if images.shape[1] != len(GREY_OF_COLOUR):
        return images.mean(1, keepdim=True)
    red, green, blue = (weight * images[:, k : k + 1] for k, weight in enumerate(GREY_OF_COLOUR))
    return red + green + blue
