"""Blocks: runs of consecutive minibatches, gathered at once from images that stay on the device."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat

import torch
from torch import Tensor

from dbn.data.images import BlockReader, Images, Stored
from dbn.errors import SettingError
from dbn.streams import stream

IMAGES_PER_BLOCK = {"cpu": 8000, "cuda": 20000}
BYTES_PER_BLOCK = {"cpu": 8_000_000, "cuda": 64_000_000}
"""A block's images, and bytes of them as stored, at most: enough that what Lightning does per block (0.2 ms) costs
little beside them, few enough to stay in a processor's cache and to be over soon; a GPU is faster, and has room."""
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


class BlockLoader:
    """Iterates over an epoch's blocks, in an order that depends on the seed, the stream and the epoch only.

    Whoever drives the epochs says which one it is when the loader asks, at the start of each iteration: nobody has to
    remember to tell it, and an epoch that goes on from a checkpoint has the order it began with.

    A block's images lie in a buffer that the next block is written to: use them before going on, or copy them.
    Images in a file are read by a thread that lives as long as the iteration.

    Every image comes once per epoch; the last minibatch may be smaller. Several processes share each minibatch: the
    global minibatches are the same for any number of processes.

    Args:
        images: the images, on the device where training runs.
        batch_size: images per minibatch, over all processes.
        minibatches_per_block: minibatches gathered at once; None: of 8000 images, 20000 on a GPU, fewer of large ones.
        seed: the run's seed; None keeps the images in order.
        counters: counters of the stream ``order`` before the epoch, e.g. the layer.
        epoch: says which epoch it is, from 0.
        rank: this process.
        world_size: number of processes.

    Raises:
        SettingError: ``batch_size`` or ``minibatches_per_block`` is not a whole number from 1.
    """

    def __init__(
        self,
        images: Images,
        *,
        batch_size: int,
        minibatches_per_block: int | None = None,
        seed: int | None = None,
        counters: tuple[int, ...] = (),
        epoch: Callable[[], int] = lambda: 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if minibatches_per_block is None and isinstance(batch_size, int):
            device = images.pixels.device.type if images.pixels.device.type in IMAGES_PER_BLOCK else "cpu"
            image_bytes = images.pixels.shape[1] * images.pixels.element_size()
            n = min(IMAGES_PER_BLOCK[device], BYTES_PER_BLOCK[device] // image_bytes)
            minibatches_per_block = max(1, n // max(1, batch_size))
        for name, value in (("batch_size", batch_size), ("minibatches_per_block", minibatches_per_block)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise SettingError(f"{name}={value!r}: it must be a whole number from 1.")
        self.images = images
        self.batch_size = batch_size
        self.minibatches_per_block: int = minibatches_per_block
        self.seed = seed
        self.counters = counters
        self.rank = rank
        self.world_size = world_size
        self.epoch = epoch
        self.first_block = 0
        self.next_block = 0
        self.reader: BlockReader | None = None

    @property
    def n_minibatches(self) -> int:
        """Minibatches, so optimiser steps, per epoch."""
        return -(-len(self.images) // self.batch_size)

    def __len__(self) -> int:
        """Blocks per epoch."""
        return -(-self.n_minibatches // self.minibatches_per_block)

    def state_dict(self) -> dict[str, int]:
        """Which block comes next in the epoch: Lightning keeps it in checkpoints."""
        return {"next_block": self.next_block}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on within an epoch, once."""
        self.first_block = state_dict["next_block"] % max(1, len(self))

    def generator(self) -> torch.Generator | None:
        """Draws this epoch's order; None: the images keep theirs."""
        return None if self.seed is None else stream(self.seed, "order", *self.counters, self.epoch())

    def __iter__(self) -> Iterator[Block]:
        """The epoch's blocks.

        Raises:
            DataError: images in a file cannot be read.
        """
        n, images_per_block = len(self.images), self.batch_size * self.minibatches_per_block
        if self.reader is None:
            self.reader = self.images.reader(min(images_per_block, n))
        with self.reader.reading(self.generator()) as gather:
            first, self.first_block = self.first_block, 0
            for number, start in list(enumerate(range(0, n, images_per_block)))[first:]:
                self.next_block = number + 1
                stop = min(start + images_per_block, n)
                batches = [(a, min(a + self.batch_size, stop)) for a in range(start, stop, self.batch_size)]
                shares = [self.share(*batch) for batch in batches]
                alone = self.world_size == 1
                found, labels = gather(
                    torch.arange(start, stop) if alone else torch.cat([torch.arange(a, b) for a, b in shares])
                )
                yield Block(
                    number=number,
                    images=found,
                    labels=labels,
                    lengths=tuple(b - a for a, b in shares),
                    counts=tuple(b - a for a, b in batches),
                )

    def share(self, start: int, stop: int) -> tuple[int, int]:
        """This process's part of a minibatch's places: the first processes have one image more, if it does not divide.

        Args:
            start: the minibatch's first place.
            stop: the one after its last.
        """
        each, more = divmod(stop - start, self.world_size)
        first = start + self.rank * each + min(self.rank, more)
        return first, first + each + (self.rank < more)
