"""Representations of the images in lower layers, on which the next layer trains: in memory, computed, or on disk."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dbn.data.block_reader import BlockReader, Gather, Gathered, Stored
from dbn.data.images import Images, ImageSet, rows_of
from dbn.data.streamed.images import StreamedImages
from dbn.data.streamed.npy import NpyFile
from dbn.data.streamed.rows import Rows
from dbn.data.streamed.windows import Layout
from dbn.errors import DataError, SettingError
from dbn.files import replacing
from dbn.fitting.processes import wait_for_all
from dbn.fitting.ranks import is_first
from dbn.models.layer import Layer
from dbn.settings import check_choice

REPRESENTATIONS = ("memory", "compute", "disk")
FLOAT_BYTES = 4


class Representations:
    """Storage of the hidden means of training images while the layers above train.

    ``memory``: all in memory. ``compute``: not stored; each block is propagated through the lower layers on the
    training device. ``disk``: in ``checkpoints/representations<k>.npy``, written once and streamed.

    Args:
        kind: ``memory``, ``compute`` or ``disk``.
        directory: of the run; required for ``disk``.

    Raises:
        SettingError: an unknown kind, or ``disk`` without a directory.
    """

    def __init__(self, kind: str, directory: Path | None) -> None:
        check_choice("data.representations", kind, REPRESENTATIONS)
        if kind == "disk" and directory is None:
            raise SettingError("data.representations=disk needs the run's directory. Give one, or use compute.")
        self.kind = kind
        self.directory = directory

    def above(self, layer: Layer, images: ImageSet, number: int) -> ImageSet:
        """Images whose features are the hidden means of layer ``number`` for the ``images`` that it was trained on.

        Raises:
            DataError: the images cannot be read, or the file cannot be written.
        """
        if self.kind == "memory":
            return propagate(layer, images)
        propagated = PropagatedImages(images, layer)
        if self.directory is None or self.kind == "compute":
            return propagated
        return on_disk(propagated, self.directory / "checkpoints" / f"representations{number}.npy")

    def clear(self) -> None:
        """Delete the files."""
        if self.directory is not None:
            for file in (self.directory / "checkpoints").glob("representations*.npy"):
                file.unlink(missing_ok=True)


def same_windows(images: ImageSet, widths: Sequence[int]) -> ImageSet:
    """Streamed images with windows small enough for features of the largest of ``widths`` float32 numbers.

    So all layers of a stack have the same windows, whether representations are computed or on disk.
    """
    if not isinstance(images, StreamedImages):
        return images
    return replace(images, layout=images.layout.with_room_for(FLOAT_BYTES * max(widths, default=1)))


@torch.no_grad()
def propagate(layer: Layer, images: ImageSet) -> ImageSet:
    """Hidden means of every image, in memory."""
    features = torch.empty(len(images), math.prod(layer.output_shape))
    start = 0
    for chunk in images.chunks():
        features[start : start + len(chunk)] = layer.up(chunk)
        start += len(chunk)
    found = Images.from_features(features, images.labels)
    return found if images.weights is None else found.weighted(images.weights)


@dataclass(frozen=True, eq=False)
class PropagatedImages(ImageSet):
    """Images whose features are hidden means of a layer, computed on access.

    Attributes:
        below: the images below the layer.
        layer: the layer.
    """

    below: ImageSet
    layer: Layer

    @property
    def labels(self) -> Tensor | None:  # type: ignore[override]
        """Labels of the images."""
        return self.below.labels

    @property
    def weights(self) -> Tensor | None:  # type: ignore[override]
        """Weights of the images."""
        return self.below.weights

    @property
    def n_features(self) -> int:
        """Number of hidden units of the layer."""
        return math.prod(self.layer.output_shape)

    @property
    def device(self) -> torch.device:
        """Device of the features."""
        return self.below.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the hidden means."""
        return torch.float32

    def __len__(self) -> int:
        """Number of images."""
        return len(self.below)

    @torch.no_grad()
    def up(self, features: Tensor) -> Tensor:
        """``(m, n_visible)`` -> ``(m, n_hidden)``."""
        return self.layer.up(features)

    def features(self, index: Tensor | slice | None = None) -> Tensor:
        """Hidden means of the images at ``index`` (None: all), ``(m, n_hidden)`` float32."""
        return self.up(self.below.features(index))

    def chunks(self) -> Iterator[Tensor]:
        """Hidden means of all images in stored order, in chunks ``(m, n_hidden)``."""
        return map(self.up, self.below.chunks())

    def order(self, generator: torch.Generator | None) -> Tensor:
        """An epoch's order, that of the images below."""
        return self.below.order(generator)

    def take(self, index: Tensor) -> ImageSet:
        """The images at ``index`` ``(m,)`` (numbers or a mask), their hidden means in memory."""
        found = Images.from_features(self.features(index), rows_of(self.labels, index))
        return found if self.weights is None else found.weighted(self.weights[index])

    def to(self, device: torch.device | str) -> "PropagatedImages":
        """The same images, computed on ``device``."""
        return PropagatedImages(self.below.to(device), deepcopy(self.layer).to(device))

    def reader(self, room: int) -> BlockReader:
        """See :class:`BlockReader`."""
        return PropagatedReader(self, room)


class PropagatedReader(BlockReader):
    """Reads blocks of :class:`PropagatedImages`.

    Args:
        images: the images.
        room: largest number of images in a block.
    """

    def __init__(self, images: PropagatedImages, room: int) -> None:
        self.up = images.up
        self.below = images.below.reader(room)

    @contextmanager
    def reading(self, generator: torch.Generator | None) -> Iterator[Gather]:
        """See :meth:`BlockReader.reading`."""
        with self.below.reading(generator) as gather_below:

            def gather(positions: Tensor, following: Tensor | None) -> Gathered:
                below, labels, weights = gather_below(positions, following)
                return self.up(below.features() if isinstance(below, Stored) else below), labels, weights

            yield gather


def on_disk(images: PropagatedImages, file: Path) -> StreamedImages:
    """The hidden means streamed from ``file``, which is written unless an interrupted run has written it.

    Raises:
        DataError: the file cannot be written, or has another shape or type.
    """
    shape, row_bytes = (len(images), images.n_features), FLOAT_BYTES * images.n_features
    if not file.is_file() and is_first():
        _write(file, images)
    wait_for_all()
    found = NpyFile.open(file)
    if found.shape != shape or found.dtype != np.dtype(np.float32):
        raise DataError(f"{file} holds {found.dtype} of shape {found.shape}, not float32 of {shape}. Take it away.")
    layout = images.below.layout if isinstance(images.below, StreamedImages) else Layout(row_bytes)
    rows = Rows(found, (1, 1, shape[1]), torch.empty(0, dtype=torch.int64))
    return replace(StreamedImages.of(rows, images.labels, layout), weights=images.weights)


def _write(file: Path, images: PropagatedImages) -> None:
    shape = (len(images), images.n_features)
    try:
        with replacing(file) as temporary, temporary.open("wb") as out:
            header = {
                "descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)),
                "fortran_order": False,
                "shape": shape,
            }
            np.lib.format.write_array_header_1_0(out, header)
            for chunk in images.chunks():
                out.write(chunk.contiguous().numpy().data.cast("B"))
    except OSError as error:
        raise DataError(
            f"{file} cannot be written ({error}). It takes {shape[0] * shape[1] * FLOAT_BYTES / 2**30:.3g} GiB: make "
            "room, or use data.representations=compute."
        ) from error
