"""Images in memory, as stored, and how to read them as features."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from numpy.typing import NDArray
from torch import Tensor

from dbn.data.block_reader import BlockBuffer, BlockReader, Gather, Gathered
from dbn.data.image_weights import checked_weights, sum_of_rows, total_weight, weighted_chunks
from dbn.data.scaling import Scaling
from dbn.data.split.strata import distinct
from dbn.data.tables.columns import Columns
from dbn.data.tensors import as_rows, check_dimensions
from dbn.data.uploads import upload
from dbn.errors import DataError
from dbn.random.streams import stream

CHUNK_IMAGES, CHUNK_FEATURES = 5000, 1 << 22
"""Largest number of images, and of their features, in a chunk of :meth:`ImageSet.chunks`."""


def images_per_chunk(n_features: int) -> int:
    """Number of images of ``n_features`` in a chunk of :meth:`ImageSet.chunks`."""
    return max(1, min(CHUNK_IMAGES, CHUNK_FEATURES // n_features))


def rows_of(values: Tensor | None, index: Tensor) -> Tensor | None:
    """``values[index]``; None of None."""
    return None if values is None else values[index]


class ImageSet(ABC):
    """Images in memory, in a file, or computed from others, read as features.

    Attributes:
        labels: ``(n,)`` int64 class numbers; ``(n, n_targets)`` float32 values to predict; or None.
        weights: ``(n,)`` float32 from 0, how much each image counts in training; None: 1 for all.
    """

    labels: Tensor | None
    weights: Tensor | None = None

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
        """Device of the features."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """Type of the stored or computed values."""

    @abstractmethod
    def features(self, index: Tensor | slice | None = None) -> Tensor:
        """Features of the images at ``index`` (None: all), ``(m, n_features)`` float32; never a view of pixels."""

    def chunks(self) -> Iterator[Tensor]:
        """Features of all images in stored order, in chunks ``(m, n_features)`` float32."""
        step = images_per_chunk(self.n_features)
        for start in range(0, len(self), step):
            yield self.features(slice(start, start + step))

    def mean(self) -> Tensor:
        """Mean of every feature, by the images' weights, ``(n_features,)`` float32; decodes a chunk at a time."""
        zero = torch.zeros(1, device=self.device)
        return (sum((sum_of_rows(*own) for own in weighted_chunks(self)), zero) / total_weight(self)).float()

    def sample(self, n: int) -> Tensor:
        """Features of ``min(n, len(self))`` random images, in stored order, for monitoring.

        The choice depends on the number of images only, so that all arms, seeds, layers and resumed fits monitor the
        same ones.
        """
        size = len(self)
        return self.features(slice(None) if n >= size else distinct(size, n, stream(0, "sample")))

    def order(self, generator: torch.Generator | None) -> Tensor:
        """An epoch's order as an index ``(n,)``, drawn from ``generator``; None: as stored."""
        n = len(self)
        return torch.arange(n) if generator is None else torch.randperm(n, generator=generator)

    @abstractmethod
    def reader(self, room: int) -> BlockReader:
        """A reader of blocks of up to ``room`` images."""

    @abstractmethod
    def take(self, index: Tensor) -> "ImageSet":
        """The images at ``index`` ``(m,)`` (numbers or a mask), in memory."""

    @abstractmethod
    def to(self, device: torch.device | str) -> "ImageSet":
        """The same images, with features on ``device``."""


class StoredImages(ImageSet):
    """Images that are kept as stored pixels and decoded as ``feature = (pixel - offset) * factor``.

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
        """The same images, with features on ``device``."""

    def weighted(self, weights: Tensor) -> Self:
        """The same images, with other weights ``(n,)``."""
        return replace(self, weights=weights)  # type: ignore[type-var]  # subclasses are dataclasses

    def decoded(self, pixels: Tensor) -> Tensor:
        """Features of ``pixels`` ``(m, n_features)``; never a view of them."""
        return (pixels - self.offset).mul_(self.factor)  # uint8 - float32 gives float32 in one pass


@dataclass(frozen=True, eq=False)  # eq: comparing tensors field by field has no single truth value
class Images(StoredImages):
    """Images in memory.

    Pixels are kept as stored (uint8 for pictures) and decoded to float32 a minibatch at a time, which takes a quarter
    of the memory and of the transfers to the device.

    Attributes:
        pixels: ``(n, n_features)``, uint8 or float32, contiguous; a picture is flattened channel, row, column.
        labels: ``(n,)`` int64 class numbers, or None where the data has no labels.
        offset: as in :class:`StoredImages`.
        factor: as in :class:`StoredImages`.
        weights: as in :class:`ImageSet`.
    """

    pixels: Tensor
    labels: Tensor | None
    offset: Tensor
    factor: Tensor
    weights: Tensor | None = None

    @classmethod
    def from_features(
        cls, features: Tensor | NDArray[Any], labels: Tensor | None = None, weights: Tensor | None = None
    ) -> "Images":
        """Images whose pixels are their features.

        Args:
            features: ``(n, n_features)``, ``(n, height, width)`` or ``(n, channels, height, width)``. uint8 tensors are
                kept, with features from 0 to 255; others become float32, see :func:`dbn.data.tensors.as_floats`.
            labels: ``(n,)`` int64, or None.
            weights: how much each image counts in training, ``(n,)`` from 0; None: 1 for all.

        Raises:
            DataError: features have another shape or type, the number of labels or weights differs from that of images,
                a weight is negative or not finite, or all are 0.
        """
        if isinstance(features, Tensor) and features.dtype == torch.uint8:
            check_dimensions(features, "features")
            pixels = features.flatten(1).contiguous()
        else:
            pixels = as_rows(features, "features")
        if labels is not None and labels.shape[:1] != pixels.shape[:1]:
            raise DataError(f"labels have shape {tuple(labels.shape)}, but there are {len(pixels)} images.")
        images = cls.of(pixels, labels)
        return images if weights is None else images.weighted(checked_weights(weights, len(pixels)))

    @classmethod
    def of(cls, pixels: Tensor, labels: Tensor | None) -> "Images":
        """Images without scaling: features are pixels ``(n, n_features)``, uint8 or float32."""
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
        """Device of the pixels."""
        return self.pixels.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the pixels."""
        return self.pixels.dtype

    def features(self, index: Tensor | slice | None = None) -> Tensor:
        """Features of the images at ``index`` (None: all), ``(m, n_features)`` float32; never a view of the pixels."""
        return self.decoded(self.pixels if index is None else self.pixels[index])

    def reader(self, room: int) -> BlockReader:
        """A reader of blocks of up to ``room`` images."""
        return MemoryReader(self, room)

    def take(self, index: Tensor) -> "Images":
        """Copies of the images at ``index`` ``(m,)`` (numbers or a mask), with the same scaling."""
        labels = None if self.labels is None else self.labels[index]
        return Images(self.pixels[index], labels, self.offset, self.factor, rows_of(self.weights, index))

    def to(self, device: torch.device | str) -> "Images":
        """The same images on ``device``."""
        labels = None if self.labels is None else self.labels.to(device)
        weights = None if self.weights is None else self.weights.to(device)
        return Images(self.pixels.to(device), labels, self.offset.to(device), self.factor.to(device), weights)


class MemoryReader(BlockReader):
    """Reads blocks of images in memory.

    Args:
        images: the images.
        room: largest number of images in a block.
    """

    def __init__(self, images: Images, room: int) -> None:
        self.images = images
        self.buffer = BlockBuffer(images.pixels.new_empty(room, images.n_features), images.offset, images.factor)

    @contextmanager
    def reading(self, generator: torch.Generator | None) -> Iterator[Gather]:
        """See :meth:`BlockReader.reading`."""
        order, device = self.images.order(generator), self.images.pixels.device

        def gather(positions: Tensor, following: Tensor | None) -> Gathered:
            index = upload(order.index_select(0, positions), device)
            torch.index_select(self.images.pixels, 0, index, out=self.buffer.pixels[: len(index)])
            return (
                self.buffer.holding(len(index)),
                rows_of(self.images.labels, index),
                rows_of(self.images.weights, index),
            )

        yield gather


@dataclass(frozen=True, eq=False)
class DataSet:
    """Training, validation and test images of one shape, with one scaling.

    Attributes:
        name: name of the data in messages and results.
        train: training images.
        validation: validation images; may be empty.
        test: test images; may be empty.
        shape: channels, height, width.
        classes: a name for each label; empty where there are no labels.
        maximum: stored value that stands for 1.0; None: ``1 / train.factor``, for images without standardisation.
        spare: validation images beyond those that ``data.n_validation`` lets take part in choices; None: none.
        test_index: ``(n_test,)`` int64, number of each test image in its source, from 0: among the source's test images
            where it has some, otherwise among its training images; None: as they are stored.
        test_names: a name for each test image, such as its file's; empty: they have none.
        feature_names: a name for every feature, such as the word that is counted; empty: they have none.
        columns: of a table, whose rows are the images; None: these are images.
        targets: names of the values to predict, which are then the labels, ``(n, n_targets)`` float32; else empty.
    """

    name: str
    train: StoredImages
    validation: StoredImages
    test: StoredImages
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    maximum: float | None = None
    spare: StoredImages | None = None
    test_index: Tensor | None = None
    test_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    columns: Columns | None = None
    targets: tuple[str, ...] = ()

    @property
    def n_features(self) -> int:
        """Number of features of an image: channels x height x width."""
        return math.prod(self.shape)

    @property
    def validation_or_train(self) -> StoredImages:
        """The validation images, or the training images if there are none."""
        return self.validation if len(self.validation) else self.train

    @property
    def scaling(self) -> Scaling:
        """Conversion between stored pixels and features."""
        return Scaling(self.shape, self.train.offset, self.train.factor, self.maximum, self.columns)

    def to_pixels(self, features: Tensor) -> Tensor:
        """Pictures of features, see :meth:`Scaling.to_pixels`."""
        return self.scaling.to_pixels(features)
