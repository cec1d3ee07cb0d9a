"""Handwritten digits that come with scikit-learn: no download."""

import torch

from dbn.data.source import Source
from dbn.data.sources.mnist import DIGITS


def digits() -> Source:
    """1797 handwritten digits of 8 x 8 pixels with 17 grey levels, 10 classes, without a predefined split.

    References:
        Alpaydin and Kaynak (1998), *Optical Recognition of Handwritten Digits*, UCI: the test part of that data set.
    """
    from sklearn.datasets import load_digits  # here: a slow import that no other data set needs

    bunch = load_digits()
    return Source(
        name="digits",
        train_images=torch.from_numpy(bunch.images).to(torch.uint8).unsqueeze(1),
        train_labels=torch.from_numpy(bunch.target).long(),
        classes=DIGITS,
        maximum=16.0,
    )
