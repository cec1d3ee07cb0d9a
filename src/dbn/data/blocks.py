"""Blocks: several consecutive minibatches, gathered at once from the images on the device."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat

import torch
from torch import Tensor

from dbn.data.block_reader import Stored

FEATURES_AT_ONCE = {"cpu": 100_000, "cuda": 8_000_000}
"""Features that are decoded at once, or those of one minibatch if they are more: on a CPU they fit a core's own cache,
on a GPU its launches take longer than its arithmetic."""

Destination = Callable[[int], Tensor]
"""Returns a reusable buffer ``(batch, n_features)`` for the features of a minibatch of ``batch`` images."""


@dataclass(slots=True)
class Minibatch:
    """The data of one optimiser step. The next minibatch may overwrite its features.

    Attributes:
        features: this process's share ``(batch, n_features)`` float32.
        labels: ``(batch,)`` int64, or class probabilities ``(batch, n_classes)``, or None.
        count: images in the whole minibatch, over all processes.
        weights: ``(batch,)`` float32, weight of each image's loss; None: 1 for all.
    """

    features: Tensor
    labels: Tensor | None
    count: int
    weights: Tensor | None = None

    def weighed(self, losses: Tensor) -> Tensor:
        """Losses of the images ``(batch,)``, each times the image's weight."""
        return losses if self.weights is None else losses * self.weights


class Block:
    """Consecutive minibatches of one epoch.

    In a group of models, features, labels and weights have the members as their first dimension.

    Not a dataclass: Lightning would traverse the fields of one at every step.

    Args:
        number: of this block in its epoch, from 0.
        images: this process's share of all minibatches: features ``(n, n_features)``, or stored pixels.
        labels: ``(n,)`` int64, or class probabilities ``(n, n_classes)``, or None.
        lengths: images of each minibatch in this process's share.
        counts: images of each minibatch, over all processes.
        weights: ``(n,)`` float32, weight of each image's loss; None: 1 for all.
    """

    __slots__ = ("counts", "images", "labels", "lengths", "number", "weights")

    def __init__(
        self, number: int, images: Tensor | Stored, labels: Tensor | None, lengths: tuple[int, ...],
        counts: tuple[int, ...], weights: Tensor | None = None,
    ) -> None:  # fmt: skip
        self.number = number
        self.images = images
        self.labels = labels
        self.lengths = lengths
        self.counts = counts
        self.weights = weights

    def __len__(self) -> int:
        """Images in this process's share; in a group, of each member."""
        return sum(self.lengths)

    @property
    def device(self) -> torch.device:
        """Device of the images."""
        return self.images.pixels.device if isinstance(self.images, Stored) else self.images.device

    @property
    def features(self) -> Tensor:
        """Features of all images, ``(n, n_features)`` float32."""
        if isinstance(self.images, Stored):
            self.images = self.images.features()
        return self.images

    @property
    def label_images(self) -> int:
        """Dimension of ``labels`` that runs over images: the last one, or that before class probabilities."""
        return -2 if self.labels is not None and self.labels.is_floating_point() else -1

    def with_features(self, features: Tensor) -> "Block":
        """The block with other features ``(n, n_features)``."""
        return self.holding(features, self.labels, self.weights)

    def holding(self, images: Tensor | Stored, labels: Tensor | None, weights: Tensor | None = None) -> "Block":
        """The block with other images (features ``(n, n_features)`` or stored), labels or probabilities, weights."""
        return Block(self.number, images, labels, self.lengths, self.counts, weights)

    def minibatches(
        self, destination: Destination | None = None, first: int = 0, stop: int | None = None
    ) -> Iterator[Minibatch]:
        """Yield the minibatches in order; each is valid until the next.

        Args:
            destination: buffer that features may be decoded into; used only where that saves a copy.
            first: number of the first minibatch.
            stop: number after the last one; None: all.
        """
        part = slice(first, stop)
        labels = (
            repeat(None) if self.labels is None else self.labels.split_with_sizes(self.lengths, self.label_images)[part]
        )
        weights = repeat(None) if self.weights is None else self.weights.split_with_sizes(self.lengths, -1)[part]
        yield from map(Minibatch, self._decoded(destination, part), labels, self.counts[part], weights)

    def _decoded(self, destination: Destination | None, part: slice) -> Iterator[Tensor]:
        """Features of each minibatch; of stored pixels, several small minibatches are decoded at a time."""
        if not isinstance(self.images, Stored):
            yield from self.images.split_with_sizes(self.lengths, -2)[part]
            return
        at_once = FEATURES_AT_ONCE.get(self.device.type, FEATURES_AT_ONCE["cpu"])
        step = max(1, at_once // max(1, self.lengths[0] * self.images.pixels.shape[1]))
        if destination is not None and self.images.pixels.is_cuda:
            step = 1  # a kernel for each minibatch that need not be copied
        start, chosen = sum(self.lengths[: part.start]), self.lengths[part]
        for number in range(0, len(chosen), step):
            lengths = chosen[number : number + step]
            stop = start + sum(lengths)
            out = destination(lengths[0]) if step == 1 and destination is not None else None
            yield from self.images.features_between(start, stop, out).split_with_sizes(lengths, -2)
            start = stop

    def of_members(self) -> "list[Block]":
        """A block for each member of a group; ``[self]`` for a single model."""
        if self.features.dim() == 2:
            return [self]
        labels = repeat(None) if self.labels is None else self.labels
        pairs = zip(self.features, labels, strict=False)  # without labels, None repeats endlessly
        return [Block(self.number, own, own_labels, self.lengths, self.counts) for own, own_labels in pairs]
