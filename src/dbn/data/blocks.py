"""Blocks: runs of consecutive minibatches, gathered at once from images that stay on the device."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat

import torch
from torch import Tensor

from dbn.data.images import Stored

FEATURES_AT_ONCE = 100_000
"""Features that are read from stored pixels at once, if a minibatch has no more: few enough for a core's own cache."""

Destination = Callable[[int], Tensor]
"""Reusable buffer for the features of a minibatch of so many images, ``(batch, n_features)``."""


@dataclass(slots=True)
class Minibatch:
    """What one optimiser step sees. Its features may lie where those of the next minibatch are written to.

    Attributes:
        features: this process's share ``(batch, n_features)`` float32.
        labels: ``(batch,)`` int64, or None.
        count: images in the whole minibatch, over all processes.
    """

    features: Tensor
    labels: Tensor | None
    count: int


class Block:
    """Consecutive minibatches of one epoch.

    For a group of models that train together, features and labels have the members as their first dimension.

    No dataclass: Lightning would look into every field of one, every time.

    Args:
        number: of this block in its epoch, from 0.
        images: this process's share of all its minibatches: features ``(n, n_features)``, or as they are stored.
        labels: ``(n,)`` int64, or None.
        lengths: this process's share of each minibatch.
        counts: images in each whole minibatch, over all processes.
    """

    __slots__ = ("counts", "images", "labels", "lengths", "number")

    def __init__(
        self, number: int, images: Tensor | Stored, labels: Tensor | None, lengths: tuple[int, ...],
        counts: tuple[int, ...],
    ) -> None:  # fmt: skip
        self.number = number
        self.images = images
        self.labels = labels
        self.lengths = lengths
        self.counts = counts

    def __len__(self) -> int:
        """Images in this process's share, of each member in a group."""
        return sum(self.lengths)

    @property
    def device(self) -> torch.device:
        """Where the images are."""
        return self.images.pixels.device if isinstance(self.images, Stored) else self.images.device

    @property
    def features(self) -> Tensor:
        """Of all images, ``(n, n_features)`` float32."""
        if isinstance(self.images, Stored):
            self.images = self.images.features()
        return self.images

    def with_features(self, features: Tensor) -> "Block":
        """The same images, changed: ``features`` ``(n, n_features)``."""
        return self.holding(features, self.labels)

    def holding(self, features: Tensor, labels: Tensor | None) -> "Block":
        """A block of the same minibatches that holds other features ``(n, n_features)`` and labels ``(n,)``."""
        return Block(self.number, features, labels, self.lengths, self.counts)

    def minibatches(self, destination: Destination | None = None) -> Iterator[Minibatch]:
        """The minibatches in order: use each before going on to the next.

        Args:
            destination: buffer that features may be decoded into. They are there only where that saves a copy.
        """
        labels = repeat(None) if self.labels is None else self.labels.split_with_sizes(self.lengths, -1)
        yield from map(Minibatch, self._features_of_each(destination), labels, self.counts)

    def _features_of_each(self, destination: Destination | None) -> Iterator[Tensor]:
        """Features of each minibatch; of stored images, several small minibatches are read at a time, or one large."""
        if not isinstance(self.images, Stored):
            yield from self.images.split_with_sizes(self.lengths, -2)
            return
        some = max(1, FEATURES_AT_ONCE // max(1, self.lengths[0] * self.images.pixels.shape[1]))
        start = 0
        for number in range(0, len(self.lengths), some):
            lengths = self.lengths[number : number + some]
            stop = start + sum(lengths)
            out = destination(lengths[0]) if some == 1 and destination is not None else None
            yield from self.images.some(start, stop, out).split_with_sizes(lengths, -2)
            start = stop

    def of_members(self) -> "list[Block]":
        """The block of each member of a group; any other block, itself."""
        if self.features.dim() == 2:
            return [self]
        labels = repeat(None) if self.labels is None else self.labels
        pairs = zip(self.features, labels, strict=False)  # where there are no labels, None without end
        return [Block(self.number, own, own_labels, self.lengths, self.counts) for own, own_labels in pairs]
