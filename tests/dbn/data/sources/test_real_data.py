"""The real files, where the environment variable DBN_DATA says they are; and scikit-learn's digits, always there."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from dbn.data import binarized_mnist, check_unit_interval, digits, fashion_mnist, load_data, mnist
from dbn.data.sources.binarized_mnist import read_amat
from dbn.errors import DataError

ROOT = os.environ.get("DBN_DATA")


def needs(name):
    there = ROOT is not None and (Path(ROOT) / name).is_dir()
    return pytest.mark.skipif(not there, reason=f"DBN_DATA is not set to a folder that holds {name}/")


def mean_and_deviation(source):
    """Of all training pixels on the [0, 1] scale, by way of a histogram: 47 million pixels are slow as floats."""
    counts = np.bincount(source.train_images.flatten().numpy(), minlength=256)
    levels = np.arange(256) / 255
    mean = np.average(levels, weights=counts)
    return mean, np.average((levels - mean) ** 2, weights=counts) ** 0.5


def test_digits():
    source = digits()
    assert source.train_images.shape == (1797, 1, 8, 8)
    assert source.train_images.max() == source.maximum == 16
    # As the UCI repository counts the test part of the data set.
    assert torch.bincount(source.train_labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    # The first digit as scikit-learn's documentation prints it: 0, 0, 5, 13, 9, 1, 0, 0 in the first row.
    assert source.train_images[0, 0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]


@needs("mnist")
def test_mnist():
    source = mnist(ROOT)
    assert source.train_images.shape == (60000, 1, 28, 28)
    assert torch.bincount(source.train_labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949
    ]  # fmt: skip
    assert torch.bincount(source.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert source.train_labels[:5].tolist() == [5, 0, 4, 1, 9]  # everybody's first picture is a five
    # The mean and standard deviation that every tutorial normalises MNIST with.
    assert mean_and_deviation(source) == pytest.approx((0.1307, 0.3081), abs=5e-5)
    data = load_data(source, validation=10000)
    assert (len(data.train), len(data.validation), len(data.test)) == (50000, 10000, 10000)
    assert data.shape == (1, 28, 28)
    check_unit_interval(data.train, data_name=data.name)


@needs("fashion_mnist")
def test_fashion_mnist():
    source = fashion_mnist(ROOT)
    assert torch.bincount(source.train_labels).tolist() == [6000] * 10
    assert torch.bincount(source.test_labels).tolist() == [1000] * 10
    assert source.classes[source.train_labels[0]] == "Ankle boot"
    assert mean_and_deviation(source) == pytest.approx((0.2860, 0.3530), abs=5e-5)  # as tutorials have it


@needs("binarized_mnist")
def test_binarized_mnist():
    data = load_data(binarized_mnist(ROOT), validation=None)
    assert (len(data.train), len(data.validation), len(data.test)) == (50000, 10000, 10000)
    assert data.train.labels is None
    for images in (data.train, data.validation, data.test):
        assert images.pixels.shape[1] == 784
        assert images.pixels.unique().tolist() == [0, 1]
    # A pixel is one with the chance of its grey value: the mean is MNIST's, within sampling and choice of images.
    assert data.train.features().mean().item() == pytest.approx(0.1307, abs=2e-3)
    check_unit_interval(data.test, data_name=data.name)


@pytest.mark.parametrize("packed", [False, True])
def test_amat_by_hand(tmp_path, packed):
    text = b"0 1 1 0\n1 0 0 1 \n"
    path = tmp_path / ("x.amat.gz" if packed else "x.amat")
    path.write_bytes(gzip.compress(text) if packed else text)
    assert read_amat(path, n_features=4).tolist() == [[[[0, 1], [1, 0]]], [[[1, 0], [0, 1]]]]


@pytest.mark.parametrize("text", [b"", b"0 1 1", b"0 1 2 0", b"0 1 . 0", b"0.5 1 0 1"])
def test_amat_that_is_none(tmp_path, text):
    path = tmp_path / "x.amat"
    path.write_bytes(text)
    with pytest.raises(DataError, match=r"x\.amat is not a text of zeros and ones"):
        read_amat(path, n_features=4)
