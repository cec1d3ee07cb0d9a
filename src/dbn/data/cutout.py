"""Squares of pictures set to zero."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dbn.random.streams import Generators


def cut_out(features: Tensor, shape: tuple[int, int, int], fraction: float, generator: Generators) -> Tensor:
    """Pictures in which a square is zero, at a place drawn evenly for the square's centre; it may reach over the edge.

    Args:
        features: ``(batch, n_features)``, or ``(members, batch, n_features)`` in a group.
        shape: channels, height, width.
        fraction: side of the square relative to the picture's shorter side, rounded to whole pixels.
        generator: source of randomness, on the device of ``features``; in a group one for each member.

    References:
        DeVries & Taylor (2017), *Improved regularization of convolutional neural networks with cutout*.
    """
    if isinstance(generator, Sequence):
        return torch.stack([cut_out(own, shape, fraction, g) for own, g in zip(features, generator, strict=True)])
    _, height, width = shape
    side, n, device = round(fraction * min(height, width)), len(features), features.device
    inside = []
    for length in (height, width):
        first = torch.randint(length, (n, 1), generator=generator, device=device) - side // 2
        distance = torch.arange(length, device=device) - first
        inside.append((distance >= 0) & (distance < side))
    square = inside[0][:, None, :, None] & inside[1][:, None, None, :]  # (batch, 1, height, width)
    return features.reshape(n, *shape).masked_fill(square, 0.0).reshape(features.shape)
