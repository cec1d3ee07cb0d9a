"""Blocks for a group of models, each with its own images."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from dbn.data.block_loader import BlockLoader
from dbn.data.blocks import Block
from dbn.data.images import ImageSet
from dbn.data.selected_images import SelectedImages


class GroupLoader:
    """Stacks the blocks of several loaders: each member of a group has its own images, in its own order.

    Args:
        loaders: one for each member, with equal numbers of images and equal minibatch sizes.
    """

    def __init__(self, loaders: Sequence[BlockLoader]) -> None:
        self.loaders = loaders
        self.buffer: Tensor | None = None

    def __len__(self) -> int:
        """Blocks per epoch."""
        return len(self.loaders[0])

    def state_dict(self) -> dict[str, int]:
        """Number of the epoch's next block, the same for every member."""
        return self.loaders[0].state_dict()

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Start the next iteration at the stored block."""
        for loader in self.loaders:
            loader.load_state_dict(state_dict)

    def __iter__(self) -> Iterator[Block]:
        """Yield the epoch's blocks: features ``(members, n, n_features)``, labels and weights ``(members, n)``."""
        for blocks in zip(*self.loaders, strict=True):
            first = blocks[0]
            shape = (len(blocks), *first.features.shape)
            if self.buffer is None or self.buffer.shape[1] < shape[1]:  # it resumed at a smaller block
                self.buffer = first.features.new_empty(shape)
            features = self.buffer[:, : shape[1]]
            torch.stack([block.features for block in blocks], out=features)
            labels = [block.labels for block in blocks if block.labels is not None]
            weights = [block.weights for block in blocks if block.weights is not None]
            yield Block(
                number=first.number,
                images=features,
                labels=torch.stack(labels) if labels else None,
                lengths=first.lengths,
                counts=first.counts,
                weights=torch.stack(weights) if weights else None,
            )


def move_all(images: Sequence[ImageSet], device: torch.device) -> list[ImageSet]:
    """Move images to ``device``; an object that several models share, or pixels of several splits, are moved once."""
    moved: dict[int, ImageSet] = {}
    pixels: dict[int, Tensor] = {}
    for own in images:
        if id(own) in moved:
            continue
        if isinstance(own, SelectedImages):
            if id(own.pixels) not in pixels:
                pixels[id(own.pixels)] = own.pixels.to(device)
            moved[id(own)] = own.on(pixels[id(own.pixels)])
        else:
            moved[id(own)] = own.to(device)
    return [moved[id(own)] for own in images]


def join_loaders(loaders: Sequence[BlockLoader]) -> BlockLoader | GroupLoader:
    """One loader for all members of a group; a single loader itself."""
    return loaders[0] if len(loaders) == 1 else GroupLoader(loaders)
