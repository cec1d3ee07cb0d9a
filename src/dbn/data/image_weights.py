"""Weights of images: how much each counts in training, and in means over the images."""

from collections.abc import Iterator
from typing import Any, Protocol, Self, TypeVar

import torch
from torch import Tensor

from dbn.errors import DataError


class Chunked(Protocol):
    """Images that are read in chunks, see :class:`dbn.data.images.ImageSet`."""

    @property
    def weights(self) -> Tensor | None:
        """See :class:`dbn.data.images.ImageSet`."""

    def __len__(self) -> int: ...

    def chunks(self) -> Iterator[Tensor]:
        """See :meth:`dbn.data.images.ImageSet.chunks`."""


class Weighable(Protocol):
    """Images that can be given other weights, see :class:`dbn.data.images.StoredImages`."""

    @property
    def weights(self) -> Tensor | None:
        """See :class:`dbn.data.images.ImageSet`."""

    def __len__(self) -> int: ...

    def weighted(self, weights: Tensor) -> Self:
        """See :meth:`dbn.data.images.StoredImages.weighted`."""


AnyStored = TypeVar("AnyStored", bound=Weighable)


def checked_weights(weights: Tensor, n: int, what: str = "weights") -> Tensor:
    """Weights of ``n`` images as float32, on the CPU or where they are.

    Args:
        weights: of any type of numbers.
        n: number of images.
        what: words for them in messages, such as the name of their array.

    Raises:
        DataError: they are not ``n`` finite numbers from 0, or all are 0.
    """
    if weights.shape != (n,):
        raise DataError(
            f"{what} have shape {tuple(weights.shape)}, but there are {n} images. Give one for each: ({n},)."
        )
    found = weights.float()
    bad = ~(torch.isfinite(found) & (found >= 0))
    if bad.any():
        raise DataError(
            f"{what} hold {float(weights[bad][0])}, that of image {int(bad.nonzero()[0])} (counted from 0). Give "
            "finite numbers from 0."
        )
    if n and not found.any():
        raise DataError(f"{what} are all 0: no image would count. Give some images a positive weight, or no weights.")
    return found


def given_weights(given: Any, n: int, what: str = "weights") -> Tensor:
    """As :func:`checked_weights`, of a tensor, an array or a list of numbers.

    Raises:
        DataError: as :func:`checked_weights`, or they are no numbers.
    """
    try:
        weights = torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{what}: give a tensor, an array or a list of {n} numbers from 0 ({error}).") from error
    if weights.is_complex():
        raise DataError(f"{what} are complex. Give a tensor, an array or a list of {n} numbers from 0.")
    return checked_weights(weights.detach().cpu(), n, what)


def relative(images: AnyStored) -> AnyStored:
    """The images with weights that are 1 on average; images without weights themselves.

    An image of weight 2 then counts as two images of weight 1 do, and learning rates mean what they mean without
    weights.

    Raises:
        DataError: all weights are 0, as those of some of the images of a data set may be.
    """
    if images.weights is None or not len(images):
        return images
    mean = images.weights.double().mean()
    if mean == 0:
        raise DataError(
            f"The weights of all {len(images)} images to train on are 0. Give some of them a positive weight, or leave "
            "the weights away."
        )
    return images.weighted((images.weights.double() / mean).float())


def weighted_chunks(images: Chunked) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Chunks of the images' features ``(m, n_features)`` in float64, with their weights ``(m,)``; None: all are 1."""
    start = 0
    for chunk in images.chunks():
        weights = images.weights
        yield chunk.double(), None if weights is None else weights[start : start + len(chunk)].to(chunk.device).double()
        start += len(chunk)


def sum_of_rows(rows: Tensor, weights: Tensor | None) -> Tensor:
    """Sum of ``rows`` ``(m, n)``, each times its weight: ``(n,)``."""
    return rows.sum(0) if weights is None else weights @ rows


def total_weight(images: Chunked) -> float:
    """Sum of the images' weights: their number where they have none."""
    return len(images) if images.weights is None else float(images.weights.double().sum())
