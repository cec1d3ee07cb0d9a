"""Pretraining on augmented images: every block is deformed and propagated through the lower layers."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dbn.data.augment import Augment, Scalings
from dbn.models.layer import Layer
from dbn.random.streams import Generators

Prepare = Callable[[Tensor, Generators], Tensor]
"""From a block's loaded features and a source of randomness to the features that a layer trains on."""


class AugmentedBelow:
    """Deforms images and propagates them through the layers below the one that is trained.

    Every epoch has other deformations, so the lower layers' representations are computed block by block.

    Args:
        augment: the deformation.
        shape: channels, height, width of an image.
        below: the trained layers, from the data upwards, on the training device; for several models, groups.
        scaling: of the features, on that device, see :class:`Augment`.
    """

    def __init__(
        self, augment: Augment, shape: tuple[int, int, int], below: Sequence[Layer], scaling: Scalings | None = None
    ) -> None:
        self.augment = augment
        self.shape = shape
        self.below = below
        self.scaling = scaling

    @torch.no_grad()
    def __call__(self, features: Tensor, generator: Generators) -> Tensor:
        """``(..., batch, n_features)`` -> ``(..., batch, n_inputs)`` of the layer that is trained."""
        x = self.augment(features, self.shape, generator, self.scaling)
        for layer in self.below:
            x = layer.up(x)
        return x
