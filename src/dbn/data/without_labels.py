"""The training images whose labels are not used, as images without labels."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dbn.data.block_reader import BlockReader, Gather, Stored
from dbn.data.images import Images, ImageSet
from dbn.data.streamed.images import StreamedImages


def without_labels(images: ImageSet, labelled: Tensor) -> ImageSet:
    """The images except those at ``labelled`` ``(m,)``, without labels; nothing is copied.

    Args:
        images: training images, in memory or in a file.
        labelled: numbers of the images that keep their label.
    """
    if isinstance(images, StreamedImages):
        return replace(images, labels=None).without(labelled)
    rest = torch.ones(len(images), dtype=torch.bool)
    rest[labelled.cpu()] = False
    return UnlabelledImages(images, rest.nonzero().squeeze(1))


@dataclass(frozen=True, eq=False)
class UnlabelledImages(ImageSet):
    """Some of the images of another set in memory, without their labels.

    Attributes:
        whole: the other set.
        index: numbers of the images, ``(n,)`` int64, on the CPU.
    """

    whole: ImageSet
    index: Tensor
    labels = None

    def __len__(self) -> int:
        """Number of images."""
        return len(self.index)

    @property
    def n_features(self) -> int:
        """Number of features of an image."""
        return self.whole.n_features

    @property
    def device(self) -> torch.device:
        """Device of the features."""
        return self.whole.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the stored values."""
        return self.whole.dtype

    def features(self, index: Tensor | slice | None = None) -> Tensor:
        """Features of the images at ``index`` (None: all), ``(m, n_features)`` float32."""
        numbers = self.index if index is None else self.index[index]
        return self.whole.features(numbers.to(self.device))

    def take(self, index: Tensor) -> ImageSet:
        """Copies of the images at ``index`` ``(m,)`` (numbers or a mask)."""
        return Images.from_features(self.features(index))

    def to(self, device: torch.device | str) -> "UnlabelledImages":
        """The same images, with the whole set on ``device``."""
        return replace(self, whole=self.whole.to(device))

    def reader(self, room: int) -> BlockReader:
        """A reader of blocks of up to ``room`` images."""
        return UnlabelledReader(self, room)


class UnlabelledReader(BlockReader):
    """Reads blocks of :class:`UnlabelledImages`.

    Args:
        images: the images.
        room: largest number of images in a block.
    """

    def __init__(self, images: UnlabelledImages, room: int) -> None:
        self.images = images
        self.whole = images.whole.reader(room)

    @contextmanager
    def reading(self, generator: torch.Generator | None) -> Iterator[Gather]:
        """See :meth:`BlockReader.reading`."""
        order = self.images.index[self.images.order(generator)]
        with self.whole.reading(None) as gather_whole:

            def gather(positions: Tensor) -> tuple[Tensor | Stored, None]:
                return gather_whole(order[positions])[0], None

            yield gather
