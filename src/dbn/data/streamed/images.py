"""Images streamed from a file in windows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dbn.data.block_reader import BlockBuffer, BlockReader, Gather, Gathered, Stored
from dbn.data.images import Images, StoredImages, rows_of
from dbn.data.streamed.rows import RowReader, Rows
from dbn.data.streamed.windows import Layout, Plan, Windows
from dbn.data.uploads import Uploads, upload_stream_for


@dataclass(frozen=True, eq=False)
class StreamedImages(StoredImages):
    """Images in a file. During training, memory holds two windows of them and all labels.

    Attributes:
        labels: ``(n,)`` int64, on the CPU, or None.
        offset: as in :class:`StoredImages`; its device is that of the features.
        factor: as in :class:`StoredImages`.
        rows: the pixels in the file.
        layout: sizes of chunks and windows.
        weights: as in :class:`dbn.data.images.ImageSet`, on the CPU.
    """

    labels: Tensor | None
    offset: Tensor
    factor: Tensor
    rows: Rows
    layout: Layout
    weights: Tensor | None = None

    @classmethod
    def of(cls, rows: Rows, labels: Tensor | None, layout: Layout) -> "StreamedImages":
        """Images without scaling: features are pixels."""
        return cls(labels, torch.tensor(0.0), torch.tensor(1.0), rows, layout)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.rows)

    @property
    def n_features(self) -> int:
        """Number of features of an image."""
        return self.rows.n_features

    @property
    def device(self) -> torch.device:
        """Device of the features."""
        return self.offset.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the pixels."""
        return self.rows.dtype

    def features(self, index: Tensor | slice | None = None) -> Tensor:
        """Features of the images at ``index`` (None: all), read from the file, ``(m, n_features)`` float32."""
        return self.decoded(self._read(index).to(self.device))

    def take(self, index: Tensor) -> Images:
        """The images at ``index`` ``(m,)`` (numbers or a mask), in memory."""
        labels, weights = (None if own is None else own[index].to(self.device) for own in (self.labels, self.weights))
        return Images(self._read(index).to(self.device), labels, self.offset, self.factor, weights)

    def without(self, index: Tensor) -> "StreamedImages":
        """The images except those at ``index`` ``(m,)``."""
        keep = torch.ones(len(self), dtype=torch.bool)
        keep[index] = False
        labels, weights = rows_of(self.labels, keep), rows_of(self.weights, keep)
        return replace(self, labels=labels, rows=self.rows.without(index), weights=weights)

    def to(self, device: torch.device | str) -> "StreamedImages":
        """The same images, with their features on ``device``."""
        return replace(self, offset=self.offset.to(device), factor=self.factor.to(device))

    def order(self, generator: torch.Generator | None) -> Tensor:
        """An epoch's order, ``(n,)``; :meth:`reader` does not need it, which would take memory for every image."""
        plan = Plan(len(self), self.layout, generator)
        windows = []
        for number in range(len(plan.windows)):
            index = plan.index(number)
            windows.append(index[plan.shuffled(len(index))])
        return torch.cat(windows)

    def reader(self, room: int) -> BlockReader:
        """See :class:`BlockReader`."""
        return StreamReader(self, room)

    def _read(self, index: Tensor | slice | None) -> Tensor:
        """Pixels of the images at ``index``, ``(m, n_features)``, on the CPU."""
        numbers, inverse = torch.unique(_as_numbers(index, len(self)), return_inverse=True)
        pixels = torch.empty(len(numbers), self.rows.n_features, dtype=self.rows.dtype)
        breaks = (numbers.diff() != 1).nonzero().squeeze(1) + 1
        filled = 0
        with RowReader(self.rows) as reader:
            for run in numbers.tensor_split(breaks):
                if len(run):
                    reader.read(int(run[0]), int(run[-1]) + 1, pixels[filled : filled + len(run)])
                    filled += len(run)
        ascending = len(inverse) == len(numbers) and bool((inverse.diff() > 0).all())
        return pixels if ascending else pixels[inverse]


def _as_numbers(index: Tensor | slice | None, n: int) -> Tensor:
    """Numbers ``(m,)`` of the images at ``index``: numbers, a mask, a slice, or None for all."""
    if index is None:
        return torch.arange(n)
    if isinstance(index, slice):
        return torch.arange(*index.indices(n))
    numbers = index.cpu()
    if numbers.dtype == torch.bool:
        return numbers.nonzero().squeeze(1)
    if len(numbers) and not (numbers.min() >= 0 and numbers.max() < n):
        raise IndexError(f"there are images 0 to {n - 1}, asked for {int(numbers.min())} to {int(numbers.max())}")
    return numbers


class StreamReader(BlockReader):
    """Reads blocks of streamed images; on a GPU, the next one is uploaded while training uses the current one.

    Args:
        images: the images.
        room: largest number of images in a block.
    """

    def __init__(self, images: StreamedImages, room: int) -> None:
        self.images = images
        memory = torch.empty(room, images.n_features, dtype=images.dtype, device=images.device)
        self.buffer = BlockBuffer(memory, images.offset, images.factor)
        stream = upload_stream_for(images.device)
        self.of_images = [own for own in (images.labels, images.weights) if own is not None]
        extra = [own.new_empty(room, device=images.device) for own in self.of_images]
        self.uploads = None if stream is None else Uploads([memory, *extra], stream)

    @contextmanager
    def reading(self, generator: torch.Generator | None) -> Iterator[Gather]:
        """See :meth:`BlockReader.reading`."""
        images = self.images
        with Windows(images.rows, images.layout, generator) as windows:
            yield self._copied(windows) if self.uploads is None else self._uploaded(windows, self.uploads)

    def _copied(self, windows: Windows) -> Gather:
        """Gathers a block when it is asked for."""

        def gather(positions: Tensor, following: Tensor | None) -> Gathered:
            found = self.buffer.holding(len(positions))
            on_cpu = found.pixels.device.type == "cpu"
            pixels = found.pixels if on_cpu else torch.empty_like(found.pixels, device="cpu")
            index = windows.gather(positions, pixels)
            if not on_cpu:
                found.pixels.copy_(pixels)
            return found, *self._labels_and_weights([own[index].to(self.images.device) for own in self.of_images])

        return gather

    def _uploaded(self, windows: Windows, uploads: Uploads) -> Gather:
        """Gathers a block ahead."""
        ahead = False

        def send(positions: Tensor) -> None:
            pixels, *staged = (own[: len(positions)] for own in uploads.stage())
            index = windows.gather(positions, pixels)
            for own, out in zip(self.of_images, staged, strict=True):
                torch.index_select(own, 0, index, out=out)
            uploads.send(len(positions))

        def gather(positions: Tensor, following: Tensor | None) -> Gathered:
            nonlocal ahead
            if not ahead:
                send(positions)
            pixels, *received = uploads.receive(len(positions))
            ahead = following is not None
            if following is not None:
                send(following)
            return Stored(pixels, *self.buffer.decoders), *self._labels_and_weights(received)

        return gather

    def _labels_and_weights(self, found: list[Tensor]) -> tuple[Tensor | None, Tensor | None]:
        """Those that the images have, from what was gathered of them in this order."""
        labels = None if self.images.labels is None else found[0]
        return labels, None if self.images.weights is None else found[-1]
