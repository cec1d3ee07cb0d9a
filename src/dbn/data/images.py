"""Images in memory, as stored, and how to read them as features."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

Gather = Callable[[Tensor], tuple[Tensor, Tensor | None]]
"""From places in an epoch's order, ascending ``(m,)``, to features ``(m, n_features)`` and labels ``(m,)``."""

CHUNK_IMAGES, CHUNK_FEATURES = 5000, 1 << 22
"""At most so many images, and features of them, are worked on at once where all have to be."""


class BlockReader(ABC):
    """Delivers images in an epoch's order, a block at a time, to the same memory each time."""

    @abstractmethod
    def reading(self, generator: torch.Generator | None) -> AbstractContextManager[Gather]:
        """An epoch, in an order that ``generator`` draws; None: as stored. What is gathered holds until the next call.

        Places must ascend from call to call, and may leave some out.
        """


@dataclass(frozen=True, eq=False)  # eq: comparing tensors field by field has no single truth value
class Images:
    """Images as stored, and how to read them as features: ``feature = (pixel - offset) * factor``.

    Pixels stay as they were stored (uint8 for pictures) and become float32 a minibatch at a time: a quarter of the
    memory, and of the traffic to the device. Subclasses keep them elsewhere than in memory.

    Attributes:
        pixels: ``(n, n_features)``, uint8 or float32, contiguous; a picture is flattened channel, row, column.
        labels: ``(n,)`` int64 class numbers, or None where the data has no labels.
        offset: float32, ``()`` or ``(n_features,)``, in stored units.
        factor: float32, ``()`` or ``(n_features,)``, features per stored unit; positive.
    """

    pixels: Tensor
    labels: Tensor | None
    offset: Tensor
    factor: Tensor

    @classmethod
    def from_features(cls, features: Tensor, labels: Tensor | None = None) -> "Images":
        """Images whose pixels are features already, ``(n, n_features)`` float32 (or uint8)."""
        return cls(features.contiguous(), labels, torch.tensor(0.0), torch.tensor(1.0))

    def __len__(self) -> int:
        """Number of images."""
        return len(self.pixels)

    def features(self, index: Tensor | slice | None = None) -> Tensor:
        """Features of the images at ``index`` (None: all), ``(m, n_features)`` float32; never a view of the pixels."""
        pixels = self.pixels if index is None else self.pixels[index]
        return (pixels - self.offset).mul_(self.factor)  # uint8 - float32 gives float32 in one pass

    def chunks(self) -> Iterator[Tensor]:
        """Features of all images as stored, some at a time: ``(m, n_features)`` float32."""
        step = max(1, min(CHUNK_IMAGES, CHUNK_FEATURES // self.pixels.shape[1]))
        for start in range(0, len(self), step):
            yield self.features(slice(start, start + step))

    def sample(self, n: int) -> Tensor:
        """Features of ``n`` images to watch, or of all: the first, since images in memory come in random order."""
        return self.features(slice(0, n))

    def order(self, generator: torch.Generator | None) -> Tensor:
        """Index of the images in an epoch's order, ``(n,)``, as ``generator`` draws it; None: as stored."""
        n = len(self)
        return torch.arange(n) if generator is None else torch.randperm(n, generator=generator)

    def reader(self, room: int) -> BlockReader:
        """Reads these images in blocks of up to ``room``."""
        return MemoryReader(self, room)

    def take(self, index: Tensor) -> "Images":
        """The images at ``index`` ``(m,)`` (numbers or a mask), copied, read as features in the same way."""
        labels = None if self.labels is None else self.labels[index]
        return Images(self.pixels[index], labels, self.offset, self.factor)

    def to(self, device: torch.device | str) -> "Images":
        """The same images on ``device``."""
        labels = None if self.labels is None else self.labels.to(device)
        return Images(self.pixels.to(device), labels, self.offset.to(device), self.factor.to(device))


class FeatureBuffer:
    """Features of ever other images, written to the same memory: fresh memory costs more than the arithmetic.

    Args:
        images: where they come from.
        n: room for that many images.
    """

    def __init__(self, images: Images, n: int) -> None:
        self.images = images
        self.pixels = images.pixels.new_empty(n, images.pixels.shape[1])
        plain = images.pixels.dtype == torch.float32
        self.out = self.pixels if plain else torch.empty_like(self.pixels, dtype=torch.float32)
        self.shifted = bool(images.offset.count_nonzero())
        self.scaled = not plain or bool((images.factor != 1).any())

    def features(self, index: Tensor) -> Tensor:
        """Features of the images at ``index`` ``(m,)``, ``(m, n_features)`` float32, until the next call."""
        torch.index_select(self.images.pixels, 0, index, out=self.pixels[: len(index)])
        return self.decoded(len(index))

    def decoded(self, n: int) -> Tensor:
        """Features of the first ``n`` images in ``pixels``, ``(n, n_features)`` float32, until the next call."""
        pixels, features = self.pixels[:n], self.out[:n]
        if self.shifted:
            torch.sub(pixels, self.images.offset, out=features).mul_(self.images.factor)
        elif self.scaled:
            torch.mul(pixels, self.images.factor, out=features)
        return features


class MemoryReader(BlockReader):
    """Blocks of images in memory.

    Args:
        images: the images.
        room: images in a block at most.
    """

    def __init__(self, images: Images, room: int) -> None:
        self.images = images
        self.buffer = FeatureBuffer(images, room)

    @contextmanager
    def reading(self, generator: torch.Generator | None) -> Iterator[Gather]:
        """See :meth:`BlockReader.reading`."""
        order, labels, device = self.images.order(generator), self.images.labels, self.images.pixels.device

        def gather(places: Tensor) -> tuple[Tensor, Tensor | None]:
            index = order.index_select(0, places).to(device)
            return self.buffer.features(index), None if labels is None else labels[index]

        yield gather


@dataclass(frozen=True, eq=False)
class DataSet:
    """Training, validation and test images of one shape, read as features in one way.

    Attributes:
        name: what the data is called in messages and results.
        train: images to train on.
        validation: images to choose settings by; may be empty.
        test: images to report on.
        shape: channels, height, width.
        classes: a name for each label; empty where there are no labels.
        maximum: stored value that stands for 1.0; None: ``1 / train.factor``, right for images that were only scaled.
    """

    name: str
    train: Images
    validation: Images
    test: Images
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    maximum: float | None = None

    @property
    def n_features(self) -> int:
        """Number of features of an image: channels x height x width."""
        return math.prod(self.shape)

    def to_pixels(self, features: Tensor) -> Tensor:
        """Pictures ``(n, channels, height, width)`` in [0, 1] of ``features`` ``(n, n_features)``.

        Undoes standardisation and clips: samples of Gaussian units may lie outside what a picture can show.
        """
        offset, factor = self.train.offset.to(features.device), self.train.factor.to(features.device)
        stored = features / factor + offset
        unit = stored * factor if self.maximum is None else stored / self.maximum
        return unit.clamp(0, 1).reshape(-1, *self.shape)
