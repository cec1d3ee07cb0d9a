"""Crops at a random place, and mirror images: pixels keep their values and move by whole pixels."""

import torch
from torch import Tensor


def crop_and_flip(
    features: Tensor, shape: tuple[int, int, int], padding: int, probability: float, generator: torch.Generator
) -> Tensor:
    """Images that are padded, cropped to their size at a random place, and mirrored left to right at random.

    The padding repeats the border. Every place is equally likely; what is switched off draws nothing.

    Args:
        features: ``(batch, n_features)``.
        shape: channels, height, width.
        padding: pixels on each side; 0 for no crops.
        probability: of a mirror image; 0 for none.
        generator: source of randomness, on the device of ``features``.

    Returns:
        Features of the same shape.

    References:
        Krizhevsky, Sutskever & Hinton (2012), *ImageNet classification with deep convolutional neural networks*,
        section 4.1: crops and horizontal reflections. He et al. (2016), *Deep residual learning*, section 4.2: 4
        pixels on images of 32x32, there of zeros.
    """
    channels, height, width = shape
    n, device = len(features), features.device
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    rows, columns = rows.expand(n, height), columns.expand(n, width)
    if padding:
        down, right = torch.randint(-padding, padding + 1, (2, n, 1), generator=generator, device=device)
        rows, columns = (rows + down).clamp(0, height - 1), (columns + right).clamp(0, width - 1)
    if probability:
        mirrored = torch.rand(n, 1, generator=generator, device=device) < probability
        columns = torch.where(mirrored, columns.flip(1), columns)
    source = (rows[:, :, None] * width + columns[:, None, :]).reshape(n, 1, height * width)
    images = features.reshape(n, channels, height * width)
    return images.gather(2, source.expand(n, channels, height * width)).reshape(features.shape)
