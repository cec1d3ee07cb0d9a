"""The inputs of EasyPR's recogniser: 120 numbers computed from an image of 20 x 20 grey pixels."""

import numpy as np
from numpy.typing import NDArray

from dbn.errors import DataError

IMAGE_SIDE, HALF_SIDE = 20, 10
INK_THRESHOLD = 20
"""Pixels above this value count as ink."""


def easypr_features(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Ten column projections, ten row projections and 10 x 10 grey values of each centred character.

    The bounding box of the ink is moved to the centre of an empty image, which is then halved in size by averaging
    squares of four pixels, rounded. A projection counts the ink pixels of a column or row, divided by the largest count
    of its kind. Grey values are from 0 to 255: the network scales its inputs itself.

    Args:
        images: ``(n, 20, 20)``.

    Returns:
        ``(n, 120)``.

    Raises:
        DataError: images of another size or type.

    References:
        EasyPR, https://github.com/liuruoze/EasyPR, ``charFeatures`` in src/core/feature.cpp.
    """
    if images.shape[1:] != (IMAGE_SIDE, IMAGE_SIDE) or images.dtype != np.uint8:
        raise DataError(
            f"EasyPR's recogniser takes images of {IMAGE_SIDE} x {IMAGE_SIDE} bytes, "
            f"not {images.dtype} of {images.shape[1:]}."
        )
    squares = _centred(images).reshape(-1, HALF_SIDE, 2, HALF_SIDE, 2).astype(np.int64)
    small = (squares.sum((2, 4)) + 2) // 4
    ink = small > INK_THRESHOLD
    projections = [counts / np.maximum(counts.max(1, keepdims=True), 1) for counts in (ink.sum(1), ink.sum(2))]
    return np.hstack([*projections, small.reshape(len(small), -1).astype(np.float64)])


def _centred(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each image's bounding box of ink in the centre of an empty image; a spare pixel is right of it or below."""
    ink = images > INK_THRESHOLD
    rows, columns = _extent(np.any(ink, axis=2)), _extent(np.any(ink, axis=1))
    centred = np.zeros_like(images)
    for image, target, (top, bottom), (left, right) in zip(images, centred, rows, columns, strict=True):
        y, x = (IMAGE_SIDE - (bottom - top)) // 2, (IMAGE_SIDE - (right - left)) // 2
        target[y : y + bottom - top, x : x + right - left] = image[top:bottom, left:right]
    return centred


def _extent(ink: NDArray[np.bool_]) -> NDArray[np.int64]:
    """First and one past the last index with ink, ``(n, 2)``, of rows ``(n, 20)``; all of a row without ink."""
    first, end = ink.argmax(1), IMAGE_SIDE - ink[:, ::-1].argmax(1)
    return np.stack([first, end], 1)
