"""Blocks for models that train together, each on its own images."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from dbn.data.block_loader import BlockLoader
from dbn.data.blocks import Block
from dbn.data.images import ImageSet


class ParallelLoader:
    """Blocks for models that train together: each member's own images, in its own order.

    Args:
        loaders: one for each member, of as many images and minibatches of the same size.
    """

    def __init__(self, loaders: Sequence[BlockLoader]) -> None:
        self.loaders = loaders
        self.buffer: Tensor | None = None

    def __len__(self) -> int:
        """Blocks per epoch."""
        return len(self.loaders[0])

    def state_dict(self) -> dict[str, int]:
        """Which block comes next in the epoch: the same for every member."""
        return self.loaders[0].state_dict()

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on within an epoch, once."""
        for loader in self.loaders:
            loader.load_state_dict(state_dict)

    def __iter__(self) -> Iterator[Block]:
        """The epoch's blocks: features ``(members, n, n_features)``, labels ``(members, n)``."""
        for blocks in zip(*self.loaders, strict=True):
            first = blocks[0]
            shape = (len(blocks), *first.features.shape)
            if self.buffer is None:
                self.buffer = first.features.new_empty(shape)
            features = self.buffer[:, : shape[1]]
            torch.stack([block.features for block in blocks], out=features)
            labels = [block.labels for block in blocks if block.labels is not None]
            yield Block(
                number=first.number,
                images=features,
                labels=torch.stack(labels) if labels else None,
                lengths=first.lengths,
                counts=first.counts,
            )


def all_to(images: Sequence[ImageSet], device: torch.device) -> list[ImageSet]:
    """Images on ``device``; those that several models share, once."""
    moved = {id(own): own.to(device) for own in images}
    return [moved[id(own)] for own in images]


def loader_of(loaders: Sequence[BlockLoader]) -> BlockLoader | ParallelLoader:
    """A loader of blocks for models that train together, or for the only one."""
    return loaders[0] if len(loaders) == 1 else ParallelLoader(loaders)
