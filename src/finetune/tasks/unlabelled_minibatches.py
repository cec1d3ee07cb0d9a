"""Minibatches of unlabelled images beside those of labelled ones, in an order of their own."""

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from dbn.data.block_loader import BlockLoader
from dbn.data.blocks import Block
from dbn.data.group_loader import join_loaders
from dbn.data.images import ImageSet


class UnlabelledMinibatches:
    """Minibatches of unlabelled images without end: each image once in an epoch, in the order of a stream of its own.

    These epochs are not those of the labelled images, which are fewer. The position is part of the checkpoint, so that
    resumed training sees the images that uninterrupted training does.

    Args:
        images: unlabelled images on the training device; in a group for each member, as many for all.
        batch_size: images per minibatch, over all processes.
        seeds: the run's seed; in a group, one for each member.
        rank: of this process.
        world_size: number of processes.

    Attributes:
        taken: number of minibatches taken so far.
    """

    def __init__(
        self, images: Sequence[ImageSet], *, batch_size: int, seeds: Sequence[int], rank: int = 0, world_size: int = 1
    ) -> None:
        self.epoch = 0
        self.taken = 0
        self.loader = join_loaders(
            [
                BlockLoader(
                    own, batch_size=batch_size, minibatches_per_block=1, seed=seed, name="order_unlabelled",
                    epoch=lambda: self.epoch, rank=rank, world_size=world_size,
                )
                for own, seed in zip(images, seeds, strict=True)
            ]
        )  # fmt: skip
        self.blocks: Iterator[Block] | None = None

    def take(self, n: int) -> tuple[list[Tensor], list[int]]:
        """The next ``n`` minibatches.

        Returns:
            features: this process's share of each, ``(batch, n_features)``; in a group with the members first.
            counts: images of each, over all processes.
        """
        features: list[Tensor] = []
        counts: list[int] = []
        while len(features) < n:
            if self.blocks is None:
                self.blocks = iter(self.loader)
            block = next(self.blocks, None)
            if block is None:
                self.epoch, self.blocks = self.epoch + 1, None
                continue
            features.append(block.features.clone())  # the next one overwrites them
            counts.append(block.counts[0])
        self.taken += n
        return features, counts

    def state_dict(self) -> dict[str, int]:
        """The position, for a checkpoint."""
        return {"taken": self.taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a position."""
        self.taken = state["taken"]
        self.epoch, position = divmod(self.taken, len(self.loader))
        self.loader.load_state_dict({"next_block": position})
        self.blocks = None
