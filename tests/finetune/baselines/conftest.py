"""Images for the baselines: simple characters, and MNIST as rows of pixels."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dbn.data import Source


@pytest.fixture(scope="session")
def mnist() -> tuple[Tensor, Tensor]:
    """MNIST's 60000 training and 10000 test images, ``(n, 784)`` within ``[0, 1]``."""
    if "DBN_DATA" not in os.environ:
        pytest.skip("needs MNIST: set DBN_DATA to the folder that holds mnist/")
    folder = Path(os.environ["DBN_DATA"]) / "mnist"

    def read(name: str) -> Tensor:
        pixels = np.frombuffer(gzip.decompress((folder / name).read_bytes()), np.uint8, offset=16)
        return torch.from_numpy(pixels.reshape(-1, 784).astype(np.float32) / 255)

    return read("train-images-idx3-ubyte.gz"), read("t10k-images-idx3-ubyte.gz")


def _bars(n: int) -> Source:
    """``n`` images of 20 x 20 pixels: vertical, horizontal and diagonal bars in three classes, with noise."""
    random = np.random.default_rng(1)
    images = random.integers(0, 60, (n, 20, 20))
    for number, image in enumerate(images):
        position = random.integers(7, 13)
        if number % 3 == 0:
            image[:, position] = 255
        elif number % 3 == 1:
            image[position] = 255
        else:
            image[np.arange(20), np.arange(20)] = 255
    tensor = torch.from_numpy(images.astype(np.uint8)).unsqueeze(1)
    return Source("easypr", tensor, torch.arange(n) % 3, classes=("i", "zh_yi", "x"))


@pytest.fixture
def bars() -> Callable[[int], Source]:
    return _bars
