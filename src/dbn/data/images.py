"""Images in memory, as stored, and how to read them as features."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from dbn.data.scaling import Scaling
from dbn.data.split.strata import distinct
from dbn.data.tensors import as_rows, check_dimensions
from dbn.errors import DataError
from dbn.random.streams import stream

Gather = Callable[[Tensor], tuple["Tensor | Stored", Tensor | None]]
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


class ImageSet(ABC):
    """Images, wherever they are, read as features: in memory, in a file, or computed from others.

    Attributes:
        labels: ``(n,)`` int64 class numbers, or None where the data has no labels.
    """

    labels: Tensor | None

    @abstractmethod
    def __len__(self) -> int:
        """Number of images."""

    @property
    @abstractmethod
    def n_features(self) -> int:
        """Number of features of an image."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where features are computed."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """Type of the numbers that are stored, or computed."""

    @abstractmethod
    def features(self, index: Tensor | slice | None = None) -> Tensor:
        """Features of the images at ``index`` (None: all), ``(m, n_features)`` float32; never a view of pixels."""

    def chunks(self) -> Iterator[Tensor]:
        """Features of all images as stored, some at a time: ``(m, n_features)`` float32."""
        step = max(1, min(CHUNK_IMAGES, CHUNK_FEATURES // self.n_features))
        for start in range(0, len(self), step):
            yield self.features(slice(start, start + step))

    def mean(self) -> Tensor:
        """Mean of every feature, ``(n_features,)`` float32, without decoding all images at once."""
        zero = torch.zeros(1, device=self.device)
        return (sum((chunk.double().sum(0) for chunk in self.chunks()), zero) / len(self)).float()

    def sample(self, n: int) -> Tensor:
        """Features of ``n`` images to watch, or of all, as stored: drawn from all of them, the same ones each time.

        Which ones is a matter of how many there are, and of nothing else: every arm and seed, every layer of a stack
        and every fit that goes on after an interruption sees the same.
        """
        size = len(self)
        return self.features(slice(None) if n >= size else distinct(size, n, stream(0, "sample")))

    def order(self, generator: torch.Generator | None) -> Tensor:
        """Index of the images in an epoch's order, ``(n,)``, as ``generator`` draws it; None: as stored."""
        n = len(self)
        return torch.arange(n) if generator is None else torch.randperm(n, generator=generator)

    @abstractmethod
    def reader(self, room: int) -> BlockReader:
        """Reads these images in blocks of up to ``room``."""

    @abstractmethod
    def take(self, index: Tensor) -> "ImageSet":
        """The images at ``index`` ``(m,)`` (numbers or a mask), in memory."""

    @abstractmethod
    def to(self, device: torch.device | str) -> "ImageSet":
        """The same images, their features on ``device``."""


class StoredImages(ImageSet):
    """Images that are kept as they were stored, and how they are read: ``feature = (pixel - offset) * factor``.

    Attributes:
        offset: float32, ``()`` or ``(n_features,)``, in stored units.
        factor: float32, ``()`` or ``(n_features,)``, features per stored unit; positive.
    """

    offset: Tensor
    factor: Tensor

    @abstractmethod
    def take(self, index: Tensor) -> "Images":
        """The images at ``index`` ``(m,)`` (numbers or a mask), in memory, as stored."""

    @abstractmethod
    def to(self, device: torch.device | str) -> "StoredImages":
        """The same images, their features on ``device``."""

    def decoded(self, pixels: Tensor) -> Tensor:
        """Features of ``pixels`` ``(m, n_features)``; never a view of them."""
        return (pixels - self.offset).mul_(self.factor)  # uint8 - float32 gives float32 in one pass


@dataclass(frozen=True, eq=False)  # eq: comparing tensors field by field has no single truth value
class Images(StoredImages):
    """Images in memory.

    Pixels stay as they were stored (uint8 for pictures) and become float32 a minibatch at a time: a quarter of the
    memory, and of the traffic to the device.

    Attributes:
        pixels: ``(n, n_features)``, uint8 or float32, contiguous; a picture is flattened channel, row, column.
        labels: ``(n,)`` int64 class numbers, or None where the data has no labels.
        offset: as in :class:`StoredImages`.
        factor: as in :class:`StoredImages`.
    """

    pixels: Tensor
    labels: Tensor | None
    offset: Tensor
    factor: Tensor

    @classmethod
    def from_features(cls, features: Tensor | NDArray[Any], labels: Tensor | None = None) -> "Images":
        """Images whose pixels are features already.

        Args:
            features: ``(n, n_features)``, ``(n, height, width)`` or ``(n, channels, height, width)``. A tensor of uint8
                stays one, its features go from 0 to 255; anything else becomes float32, see
                :func:`dbn.data.tensors.as_floats`.
            labels: ``(n,)`` int64, or None.

        Raises:
            DataError: features are of another shape or kind, or there are not as many labels as images.
        """
        if isinstance(features, Tensor) and features.dtype == torch.uint8:
            check_dimensions(features, "features")
            pixels = features.flatten(1).contiguous()
        else:
            pixels = as_rows(features, "features")
        if labels is not None and labels.shape != pixels.shape[:1]:
            raise DataError(f"labels have shape {tuple(labels.shape)}, but there are {len(pixels)} images.")
        device = pixels.device
        return cls(pixels, labels, torch.tensor(0.0, device=device), torch.tensor(1.0, device=device))

    def __len__(self) -> int:
        """Number of images."""
        return len(self.pixels)

    @property
    def n_features(self) -> int:
        """Number of features of an image."""
        return self.pixels.shape[1]

    @property
    def device(self) -> torch.device:
        """Where the pixels are."""
        return self.pixels.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the pixels."""
        return self.pixels.dtype

    def features(self, index: Tensor | slice | None = None) -> Tensor:
        """Features of the images at ``index`` (None: all), ``(m, n_features)`` float32; never a view of the pixels."""
        return self.decoded(self.pixels if index is None else self.pixels[index])

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


class Decoder:
    """Decodes pixels into a reused buffer of features: fresh memory costs more than the arithmetic.

    Args:
        pixels: some of them, for their type, number and device.
        offset: as in :class:`Images`.
        factor: as in :class:`Images`.
    """

    def __init__(self, pixels: Tensor, offset: Tensor, factor: Tensor) -> None:
        self.offset = offset if bool(offset.count_nonzero()) else None
        self.factor = factor if bool((factor != 1).any()) else None
        self.plain = pixels.dtype == torch.float32 and self.offset is None and self.factor is None
        self.room = pixels.new_empty(0, pixels.shape[1], dtype=torch.float32)

    def __call__(self, pixels: Tensor, out: Tensor | None = None) -> Tensor:
        """Features of ``pixels`` ``(m, n_features)``, of that shape, float32: in ``out``, or until the next call."""
        if out is None:
            if self.plain:
                return pixels
            if len(self.room) < len(pixels):
                self.room = torch.empty_like(pixels, dtype=torch.float32)
            out = self.room[: len(pixels)]
        features = out.copy_(pixels)  # arithmetic that converts as well would take twice as long
        if self.offset is not None:
            features.sub_(self.offset)
        if self.factor is not None:
            features.mul_(self.factor)
        return features


class Stored:
    """A block's images as they are stored, read as features when they are wanted.

    A whole block of features does not fit into a core's cache, a few minibatches of them do.

    Args:
        pixels: ``(m, n_features)``; the next block may be written to the same memory.
        decode: reads a few at a time.
        decode_all: reads them all.
    """

    __slots__ = ("decode", "decode_all", "pixels")

    def __init__(self, pixels: Tensor, decode: Decoder, decode_all: Decoder) -> None:
        self.pixels = pixels
        self.decode = decode
        self.decode_all = decode_all

    def features(self) -> Tensor:
        """Of all, ``(m, n_features)`` float32, until the next block."""
        return self.decode_all(self.pixels)

    def some(self, start: int, stop: int, out: Tensor | None = None) -> Tensor:
        """Of those from ``start`` to before ``stop``: in ``out``, of their shape, or until the next call."""
        return self.decode(self.pixels[start:stop], out)


class BlockBuffer:
    """Memory for a block's images, used again by the next.

    Args:
        pixels: the memory, ``(room, n_features)``.
        offset: as in :class:`Images`.
        factor: as in :class:`Images`.
    """

    def __init__(self, pixels: Tensor, offset: Tensor, factor: Tensor) -> None:
        self.pixels = pixels
        self.decoders = Decoder(pixels, offset, factor), Decoder(pixels, offset, factor)

    def holding(self, n: int) -> Stored:
        """The first ``n`` images in ``pixels``."""
        return Stored(self.pixels[:n], *self.decoders)


class MemoryReader(BlockReader):
    """Blocks of images in memory.

    Args:
        images: the images.
        room: images in a block at most.
    """

    def __init__(self, images: Images, room: int) -> None:
        self.images = images
        self.buffer = BlockBuffer(images.pixels.new_empty(room, images.n_features), images.offset, images.factor)

    @contextmanager
    def reading(self, generator: torch.Generator | None) -> Iterator[Gather]:
        """See :meth:`BlockReader.reading`."""
        order, labels, device = self.images.order(generator), self.images.labels, self.images.pixels.device

        def gather(places: Tensor) -> tuple[Stored, Tensor | None]:
            index = order.index_select(0, places).to(device)
            torch.index_select(self.images.pixels, 0, index, out=self.buffer.pixels[: len(index)])
            return self.buffer.holding(len(index)), None if labels is None else labels[index]

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
    train: StoredImages
    validation: StoredImages
    test: StoredImages
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    maximum: float | None = None

    @property
    def n_features(self) -> int:
        """Number of features of an image: channels x height x width."""
        return math.prod(self.shape)

    @property
    def scaling(self) -> Scaling:
        """How stored images become features, and back."""
        return Scaling(self.shape, self.train.offset, self.train.factor, self.maximum)

    def to_pixels(self, features: Tensor) -> Tensor:
        """Pictures of features, see :meth:`Scaling.to_pixels`."""
        return self.scaling.to_pixels(features)
