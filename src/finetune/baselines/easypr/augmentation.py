"""Shifted and rotated copies of images, which fill up the classes that have few."""

import numpy as np
from numpy.typing import NDArray

MAX_SHIFT, MAX_DEGREES = 2, 7.0


def fill_classes(
    images: NDArray[np.uint8], labels: NDArray[np.int64], at_least: int, random: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Append transformed copies until every class that occurs has ``at_least`` images.

    Args:
        images: ``(n, height, width)``.
        labels: ``(n,)``.
        at_least: number of images per class.
        random: source of the random numbers.

    Returns:
        The images, the given ones first, and their labels.
    """
    more, more_labels = [], []
    for label in np.unique(labels):
        own = images[labels == label]
        for _ in range(at_least - len(own)):
            more.append(transform(own[random.integers(len(own))], random))
            more_labels.append(label)
    if not more:
        return images, labels
    return np.concatenate([images, np.stack(more)]), np.concatenate([labels, np.array(more_labels)])


def transform(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Shift or rotate an image, with equal probability.

    Pixels uncovered by a shift take the mean grey value of the image's border, those uncovered by a rotation are 0.
    """
    from scipy import ndimage  # here: a slow import that only this baseline needs

    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]]).mean()
    result: NDArray[np.uint8]
    if random.random() < 0.5:
        shift = random.integers(-MAX_SHIFT, MAX_SHIFT + 1, 2)
        result = ndimage.shift(image, shift, order=0, cval=border)
    else:
        angle = random.uniform(-MAX_DEGREES, MAX_DEGREES)
        result = ndimage.rotate(image, angle, reshape=False, order=1, cval=border)
    return result
