"""What EasyPR's own recogniser looks at: 120 numbers made from an image of 20 x 20 grey pixels."""

import numpy as np
from numpy.typing import NDArray

from dbn.errors import DataError

SIDE, SMALL = 20, 10
INK = 20
"""Pixels above this count as ink."""


def easypr_features(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Ten column and ten row projections, then 10 x 10 grey values, of characters moved to the centre.

    The box round the ink is moved to the centre of an empty image, which is halved by averaging squares of four
    pixels, rounded. A projection counts the pixels with ink, over the largest count of its kind. Grey values go from 0
    to 255: the network scales its inputs itself.

    Args:
        images: ``(n, 20, 20)``.

    Returns:
        ``(n, 120)``.

    Raises:
        DataError: images of another size or type.

    References:
        EasyPR, https://github.com/liuruoze/EasyPR, ``charFeatures`` in src/core/feature.cpp.
    """
    if images.shape[1:] != (SIDE, SIDE) or images.dtype != np.uint8:
        raise DataError(
            f"EasyPR's recogniser takes images of {SIDE} x {SIDE} bytes, not {images.dtype} of {images.shape[1:]}."
        )
    squares = _centred(images).reshape(-1, SMALL, 2, SMALL, 2).astype(np.int64)
    small = (squares.sum((2, 4)) + 2) // 4
    ink = small > INK
    projections = [counts / np.maximum(counts.max(1, keepdims=True), 1) for counts in (ink.sum(1), ink.sum(2))]
    return np.hstack([*projections, small.reshape(len(small), -1).astype(np.float64)])


def _centred(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each image's box of ink in the centre of an empty image, the spare pixel to the right and below."""
    ink = images > INK
    rows, columns = _box(np.any(ink, axis=2)), _box(np.any(ink, axis=1))
    centred = np.zeros_like(images)
    for image, target, (top, bottom), (left, right) in zip(images, centred, rows, columns, strict=True):
        y, x = (SIDE - (bottom - top)) // 2, (SIDE - (right - left)) // 2
        target[y : y + bottom - top, x : x + right - left] = image[top:bottom, left:right]
    return centred


def _box(ink: NDArray[np.bool_]) -> NDArray[np.int64]:
    """First and one beyond the last place with ink ``(n, 2)``, of ``(n, 20)``; all places where there is none."""
    first, beyond = ink.argmax(1), SIDE - ink[:, ::-1].argmax(1)
    return np.stack([first, beyond], 1)
