"""Images in a sparse matrix in memory, made dense a block at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from dbn.data.block_reader import BlockBuffer, BlockReader, Gather, Gathered
from dbn.data.images import Images, StoredImages, rows_of


@dataclass(frozen=True, eq=False)
class SparseImages(StoredImages):
    """Rows of a sparse matrix, such as the word counts of documents, which need not fit into memory when dense.

    Attributes:
        matrix: ``(n, n_features)``, a matrix or array of scipy in CSR format, float32.
        labels: ``(n,)`` int64 class numbers, or None.
        offset: as in :class:`StoredImages`; its device is that of the features.
        factor: as in :class:`StoredImages`.
        weights: as in :class:`dbn.data.images.ImageSet`.
    """

    matrix: Any
    labels: Tensor | None
    offset: Tensor
    factor: Tensor
    weights: Tensor | None = None

    @classmethod
    def of(cls, matrix: Any) -> "SparseImages":
        """Images without labels and scaling, from a sparse matrix of any format and type of real numbers."""
        return cls(matrix.tocsr().astype("float32", copy=False), None, torch.tensor(0.0), torch.tensor(1.0))

    def __len__(self) -> int:
        """Number of images."""
        return int(self.matrix.shape[0])

    @property
    def n_features(self) -> int:
        """Number of features of an image."""
        return int(self.matrix.shape[1])

    @property
    def device(self) -> torch.device:
        """Device of the features."""
        return self.offset.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the values."""
        return torch.float32

    def features(self, index: Tensor | slice | None = None) -> Tensor:
        """Features of the images at ``index`` (None: all), ``(m, n_features)`` float32."""
        return self.decoded(self._dense(index))

    def take(self, index: Tensor) -> Images:
        """The images at ``index`` ``(m,)`` (numbers or a mask), dense."""
        labels, weights = rows_of(self.labels, index), rows_of(self.weights, index)
        return Images(self._dense(index), labels, self.offset, self.factor, weights)

    def to(self, device: torch.device | str) -> "SparseImages":
        """The same images, with their features on ``device``."""
        labels, weights = (None if own is None else own.to(device) for own in (self.labels, self.weights))
        offset, factor = self.offset.to(device), self.factor.to(device)
        return replace(self, labels=labels, offset=offset, factor=factor, weights=weights)

    def reader(self, room: int) -> BlockReader:
        """A reader of blocks of up to ``room`` images."""
        return SparseReader(self, room)

    def _dense(self, index: Tensor | slice | None) -> Tensor:
        """The rows at ``index``, ``(m, n_features)``."""
        where = index.cpu().numpy() if isinstance(index, Tensor) else slice(None) if index is None else index
        return torch.from_numpy(self.matrix[where].toarray()).to(self.device)


class SparseReader(BlockReader):
    """Reads blocks of :class:`SparseImages`.

    Args:
        images: the images.
        room: largest number of images in a block.
    """

    def __init__(self, images: SparseImages, room: int) -> None:
        self.images = images
        memory = torch.empty(room, images.n_features, dtype=images.dtype, device=images.device)
        self.buffer = BlockBuffer(memory, images.offset, images.factor)

    @contextmanager
    def reading(self, generator: torch.Generator | None) -> Iterator[Gather]:
        """See :meth:`BlockReader.reading`."""
        images, order = self.images, self.images.order(generator)

        def gather(positions: Tensor, _: Tensor | None) -> Gathered:
            index, found = order.index_select(0, positions), self.buffer.holding(len(positions))
            rows = images.matrix[index.numpy()]
            if found.pixels.device.type == "cpu":
                rows.toarray(out=found.pixels.numpy())
            else:
                found.pixels.copy_(torch.from_numpy(rows.toarray()))
            index = index.to(images.device)
            return found, rows_of(images.labels, index), rows_of(images.weights, index)

        yield gather
