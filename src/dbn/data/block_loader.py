"""The order of images in an epoch, its minibatches, and the loader that gathers them in blocks."""

from collections.abc import Callable, Iterator

import torch

from dbn.data.block_reader import BlockReader
from dbn.data.blocks import Block
from dbn.data.images import ImageSet
from dbn.errors import SettingError
from dbn.random.streams import stream

IMAGES_PER_BLOCK = {"cpu": 8000, "cuda": 20000}
BYTES_PER_BLOCK = {"cpu": 8_000_000, "cuda": 64_000_000}
"""Largest number of images in a block, and of their bytes as stored: large enough that Lightning's cost per block
(0.2 ms) is small, small enough for a processor's cache; a GPU takes larger ones."""


class BlockLoader:
    """Iterates over an epoch's blocks, in an order that depends on the seed, the stream and the epoch only.

    ``epoch`` is called at the start of each iteration, so an epoch resumed from a checkpoint keeps its order.

    A block's images are in a buffer that the next block overwrites: copy what is needed longer. Images in a file are
    read by a thread that ends with the iteration.

    Every image occurs once per epoch; the last minibatch may be smaller. Several processes share each minibatch: the
    global minibatches are the same for any number of processes.

    Args:
        images: the images, on the training device.
        batch_size: images per minibatch, over all processes.
        minibatches_per_block: minibatches gathered at once; None: as many as :data:`IMAGES_PER_BLOCK` and
            :data:`BYTES_PER_BLOCK` allow.
        images_per_example: images that training reads for each of these, such as unlabelled ones beside a labelled one;
            blocks are so many times smaller.
        seed: the run's seed; None keeps the images in order.
        name: of the stream of the order.
        counters: counters of that stream before the epoch, e.g. the layer.
        epoch: returns the current epoch, from 0.
        rank: of this process.
        world_size: number of processes.

    Raises:
        SettingError: ``batch_size`` or ``minibatches_per_block`` is not a whole number from 1.
    """

    def __init__(
        self,
        images: ImageSet,
        *,
        batch_size: int,
        minibatches_per_block: int | None = None,
        images_per_example: int = 1,
        seed: int | None = None,
        name: str = "order",
        counters: tuple[int, ...] = (),
        epoch: Callable[[], int] = lambda: 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if minibatches_per_block is None and isinstance(batch_size, int):
            device = images.device.type if images.device.type in IMAGES_PER_BLOCK else "cpu"
            image_bytes = images.n_features * images.dtype.itemsize
            n = min(IMAGES_PER_BLOCK[device], BYTES_PER_BLOCK[device] // image_bytes)
            minibatches_per_block = max(1, n // max(1, batch_size * images_per_example))
        for key, value in (("batch_size", batch_size), ("minibatches_per_block", minibatches_per_block)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise SettingError(f"{key}={value!r}: it must be a whole number from 1.")
        self.images = images
        self.batch_size = batch_size
        self.minibatches_per_block: int = minibatches_per_block
        self.seed = seed
        self.name = name
        self.counters = counters
        self.rank = rank
        self.world_size = world_size
        self.epoch = epoch
        self.first_block = 0
        self.next_block = 0
        self.reader: BlockReader | None = None

    @property
    def n_minibatches(self) -> int:
        """Minibatches (optimiser steps) per epoch."""
        return -(-len(self.images) // self.batch_size)

    def __len__(self) -> int:
        """Blocks per epoch."""
        return -(-self.n_minibatches // self.minibatches_per_block)

    def state_dict(self) -> dict[str, int]:
        """Number of the epoch's next block; Lightning stores it in checkpoints."""
        return {"next_block": self.next_block}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Start the next iteration at the stored block."""
        self.first_block = state_dict["next_block"] % max(1, len(self))

    def generator(self) -> torch.Generator | None:
        """Generator of this epoch's order; None keeps the images in order."""
        return None if self.seed is None else stream(self.seed, self.name, *self.counters, self.epoch())

    def __iter__(self) -> Iterator[Block]:
        """Yield the epoch's blocks.

        Raises:
            DataError: images in a file cannot be read.
        """
        n, images_per_block = len(self.images), self.batch_size * self.minibatches_per_block
        if self.reader is None:
            self.reader = self.images.reader(min(images_per_block, n))
        with self.reader.reading(self.generator()) as gather:
            first, self.first_block = self.first_block, 0
            starts = list(range(0, n, images_per_block))
            for number in range(first, len(starts)):
                self.next_block = number + 1
                batches, shares, positions = self.minibatches_from(starts[number])
                following = None if number + 1 == len(starts) else self.minibatches_from(starts[number + 1])[2]
                found, labels, weights = gather(positions, following)
                yield Block(
                    number=number,
                    images=found,
                    labels=labels,
                    lengths=tuple(b - a for a, b in shares),
                    counts=tuple(b - a for a, b in batches),
                    weights=weights,
                )

    def minibatches_from(self, start: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]], torch.Tensor]:
        """The minibatches of the block that begins at position ``start`` of the epoch's order.

        Returns:
            First position of each, and the position after its last; the same of this process's shares; all positions
            of these.
        """
        stop = min(start + self.batch_size * self.minibatches_per_block, len(self.images))
        batches = [(a, min(a + self.batch_size, stop)) for a in range(start, stop, self.batch_size)]
        shares = [self.share(*batch) for batch in batches]
        if self.world_size == 1:
            return batches, shares, torch.arange(start, stop)
        return batches, shares, torch.cat([torch.arange(a, b) for a, b in shares])

    def share(self, start: int, stop: int) -> tuple[int, int]:
        """This process's part of a minibatch; if it does not divide, the first processes take one image more.

        Args:
            start: position in the epoch's order of the minibatch's first image.
            stop: position after its last image.

        Returns:
            First position of the part, and the position after its last.
        """
        each, more = divmod(stop - start, self.world_size)
        first = start + self.rank * each + min(self.rank, more)
        return first, first + each + (self.rank < more)
