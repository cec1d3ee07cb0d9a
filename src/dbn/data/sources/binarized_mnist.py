"""Binarised MNIST, the data on which likelihoods of binary models are compared."""

import gzip
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dbn.data.source import Source
from dbn.data.sources.fetch import find_or_fetch
from dbn.errors import DataError

URL = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/"
SHA256 = {  # of the uncompressed text
    "binarized_mnist_train.amat": "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
    "binarized_mnist_valid.amat": "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
    "binarized_mnist_test.amat": "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
}
SIDE = 28


def binarized_mnist(root: str | Path | None = None) -> Source:
    """MNIST with each pixel drawn once from its grey value: 50000 training, 10000 validation, 10000 test images.

    28 x 28 pixels of 0 or 1, no labels. The test images are in the order of their digits.

    Args:
        root: data folder; the files (``.amat`` or ``.amat.gz``) are in it or in its folder ``binarized_mnist/``;
            None: see :func:`find_or_fetch`.

    Raises:
        DataError: a file has the wrong hash, or is missing and cannot be downloaded.

    References:
        Larochelle and Murray (2011), *The neural autoregressive distribution estimator*; the binarisation
        is that of Salakhutdinov and Murray (2008), *On the quantitative analysis of deep belief networks*.
    """
    train, validation, test = (
        read_amat(find_or_fetch("binarized_mnist", filename, digest, [URL + filename], root, or_gzipped=True))
        for filename, digest in SHA256.items()
    )
    return Source(
        name="binarized_mnist", train_images=train, validation_images=validation, test_images=test, maximum=1.0
    )


def read_amat(path: Path, n_features: int = SIDE * SIDE) -> Tensor:
    """Images ``(n, 1, side, side)`` uint8 from a text file of zeros and ones, a line of ``n_features`` per image.

    Raises:
        DataError: there are characters other than 0, 1 and white space, or the last image is incomplete.
    """
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        text = np.frombuffer(file.read(), np.uint8)
    digits = text[text > ord(" ")] - ord("0")  # four times as fast as numpy.loadtxt
    if digits.size == 0 or digits.max() > 1 or digits.size % n_features:
        raise DataError(
            f"{path} is not a text of zeros and ones, {n_features} on each line: "
            f"{digits.size} characters were found. Get the file again."
        )
    side = int(n_features**0.5)
    return torch.from_numpy(digits).reshape(-1, 1, side, side)
