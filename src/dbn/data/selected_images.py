"""Some of the images in memory, by their numbers: several splits of the same images share the pixels."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dbn.data.block_reader import BlockBuffer, BlockReader, Gather, Gathered
from dbn.data.images import Images, StoredImages, rows_of


@dataclass(frozen=True, eq=False)
class SelectedImages(StoredImages):
    """Images at some positions in a tensor of pixels that other selections use, too.

    Attributes:
        pixels: all images, ``(n_all, n_features)``, uint8 or float32.
        index: ``(n,)`` int64, positions of the selected images in ``pixels``, on the device of these.
        labels: of the selected images, ``(n,)`` int64, or None.
        offset: as in :class:`StoredImages`.
        factor: as in :class:`StoredImages`.
        weights: of the selected images, as in :class:`dbn.data.images.ImageSet`.
    """

    pixels: Tensor
    index: Tensor
    labels: Tensor | None
    offset: Tensor
    factor: Tensor
    weights: Tensor | None = None

    def __len__(self) -> int:
        """Number of selected images."""
        return len(self.index)

    @property
    def n_features(self) -> int:
        """Number of features of an image."""
        return self.pixels.shape[1]

    @property
    def device(self) -> torch.device:
        """Device of the pixels."""
        return self.pixels.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the pixels."""
        return self.pixels.dtype

    def features(self, index: Tensor | slice | None = None) -> Tensor:
        """Features of the images at ``index`` (None: all), ``(m, n_features)`` float32."""
        return self.decoded(self.pixels[self.index if index is None else self.index[index]])

    def reader(self, room: int) -> BlockReader:
        """A reader of blocks of up to ``room`` images."""
        return SelectionReader(self, room)

    def take(self, index: Tensor) -> Images:
        """Copies of the images at ``index`` ``(m,)`` (numbers or a mask), with the same scaling."""
        labels = None if self.labels is None else self.labels[index]
        weights = rows_of(self.weights, index)
        return Images(self.pixels[self.index[index]], labels, self.offset, self.factor, weights)

    def to(self, device: torch.device | str) -> "SelectedImages":
        """The same images on ``device``; :func:`dbn.data.group_loader.move_all` moves shared pixels once."""
        return self.on(self.pixels.to(device))

    def on(self, pixels: Tensor) -> "SelectedImages":
        """The same images, taken from a copy of ``pixels`` on another device."""
        labels = None if self.labels is None else self.labels.to(pixels.device)
        weights = None if self.weights is None else self.weights.to(pixels.device)
        scaling = {"offset": self.offset.to(pixels.device), "factor": self.factor.to(pixels.device)}
        return replace(
            self, pixels=pixels, index=self.index.to(pixels.device), labels=labels, weights=weights, **scaling
        )


class SelectionReader(BlockReader):
    """Reads blocks of selected images.

    Args:
        images: the images.
        room: largest number of images in a block.
    """

    def __init__(self, images: SelectedImages, room: int) -> None:
        self.images = images
        self.buffer = BlockBuffer(images.pixels.new_empty(room, images.n_features), images.offset, images.factor)

    @contextmanager
    def reading(self, generator: torch.Generator | None) -> Iterator[Gather]:
        """See :meth:`BlockReader.reading`."""
        images, order = self.images, self.images.order(generator)

        def gather(positions: Tensor, _: Tensor | None) -> Gathered:
            own = order.index_select(0, positions).to(images.device)
            torch.index_select(images.pixels, 0, images.index[own], out=self.buffer.pixels[: len(own)])
            return self.buffer.holding(len(own)), rows_of(images.labels, own), rows_of(images.weights, own)

        yield gather
