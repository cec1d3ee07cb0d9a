"""Principal component analysis, a linear baseline for autoencoders: the same code size without hidden layers.

References:
    Hinton & Salakhutdinov (2006), *Reducing the Dimensionality of Data with Neural Networks*, Science 313:504.
"""

import math

import torch
from torch import Tensor

from dbn.errors import DataError
from dbn.settings import check_number

CHUNK_ELEMENTS = 2**19
"""Elements per temporary tensor: 2 MiB in float32, so that it stays in the processor's cache."""


@torch.no_grad()
def pca(train: Tensor, test: Tensor, code_size: int) -> Tensor:
    r"""Reconstructions of ``test`` by principal component analysis, not clipped to ``[0, 1]``.

    :math:`\hat x = \mu + U U^\top (x - \mu)`, with the mean and the ``code_size`` leading eigenvectors of the
    covariance of ``train``. Exact: the covariance is accumulated in float64 and decomposed in full.

    Args:
        train: images to fit, ``(n, d)``.
        test: images to reconstruct, ``(m, d)``.
        code_size: numbers per code, from 1 to ``d``.

    Returns:
        ``(m, d)``. On MNIST with 30 components the summed squared error per test image is 13.87, as published by
        Hinton & Salakhutdinov (2006).

    Raises:
        SettingError: ``code_size`` is not within 1 to ``d``.
        DataError: the images are not matrices of the same width and dtype, are empty, or hold a value that is not
            finite.
    """
    check_images(train, test, code_size)
    mean, U = principal_components(train, code_size)
    return torch.cat([(mean + (x.double() - mean) @ U @ U.T).to(test.dtype) for x in row_chunks(test, test.shape[1])])


def principal_components(x: Tensor, code_size: int) -> tuple[Tensor, Tensor]:
    """Mean ``(d,)`` and leading orthonormal eigenvectors ``(d, code_size)`` of the covariance of ``x``, in float64."""
    d = x.shape[1]
    mean = x.mean(0, dtype=torch.float64)
    scatter = x.new_zeros(d, d, dtype=torch.float64)
    for chunk in row_chunks(x, d):
        centred = chunk.double() - mean
        scatter.addmm_(centred.T, centred)
    return mean, torch.linalg.eigh(scatter).eigenvectors[:, -code_size:]  # ascending eigenvalues


def row_chunks(x: Tensor, width: int) -> list[Tensor]:
    """Split the rows of ``x`` into chunks of at most :data:`CHUNK_ELEMENTS` / ``width`` rows."""
    n = max(1, CHUNK_ELEMENTS // width)
    return [x[i : i + n] for i in range(0, len(x), n)]


def check_images(train: Tensor, test: Tensor, code_size: int, *, unit_interval: bool = False) -> None:
    """Check that images are finite float matrices of equal width and dtype, and that the code is no wider than they.

    Args:
        train: ``(n, d)``.
        test: ``(m, d)``.
        code_size: numbers per code.
        unit_interval: whether values must lie within ``[0, 1]``.

    Raises:
        SettingError: ``code_size`` is not within 1 to ``d``.
        DataError: the images are not usable.
    """
    for name, x in (("train", train), ("test", test)):
        if x.ndim != 2 or not x.is_floating_point() or not x.numel():
            raise DataError(
                f"{name} is a {x.dtype} tensor of shape {tuple(x.shape)}: give images as rows, (images, pixels), "
                "in floating point."
            )
        low, high = (limit.item() for limit in x.aminmax())
        if not math.isfinite(high - low):
            raise DataError(f"{name} holds a value that is not finite. Remove or replace it.")
        if unit_interval and (low < 0 or high > 1):
            raise DataError(
                f"{name} ranges from {low:g} to {high:g}: logistic PCA needs values from 0 to 1. Rescale it."
            )
    if (train.shape[1], train.dtype) != (test.shape[1], test.dtype):
        raise DataError(
            f"train has {train.shape[1]} pixels per image in {train.dtype}, test has {test.shape[1]} in {test.dtype}: "
            "give both the same."
        )
    check_number("code_size", code_size, low=1, high=train.shape[1], whole=True)
