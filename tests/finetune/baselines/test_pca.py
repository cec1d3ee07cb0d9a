"""PCA against scikit-learn and the published error."""

import numpy as np
import pytest
import sklearn.decomposition
import torch

from finetune.baselines.pca import pca


def test_pca_agrees_with_scikit_learn():
    images = torch.rand(900, 6) @ torch.rand(6, 20)
    train, test = images[:800], images[800:]
    for code_size in (1, 5, 20):
        theirs = sklearn.decomposition.PCA(code_size, svd_solver="full").fit(train.double().numpy())
        expected = theirs.inverse_transform(theirs.transform(test.double().numpy()))
        np.testing.assert_allclose(pca(train, test, code_size).numpy(), expected, atol=1e-6)


def test_pca_over_several_chunks_agrees_with_scikit_learn():
    """So many images that the covariance is accumulated piecewise, the last piece a short one."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(12_001, 100, generator=generator) @ torch.rand(100, 100, generator=generator) / 100
    theirs = sklearn.decomposition.PCA(7, svd_solver="full").fit(images.double().numpy())
    expected = theirs.inverse_transform(theirs.transform(images.double().numpy()))
    np.testing.assert_allclose(pca(images, images, 7).numpy(), expected, atol=1e-6)


def test_pca_with_as_many_components_as_pixels_loses_nothing():
    images = torch.rand(300, 12)
    torch.testing.assert_close(pca(images[:200], images[200:], 12), images[200:])


def test_pca_of_mnist_has_the_published_error(mnist):
    """Hinton & Salakhutdinov (2006): 13.87 with 30 components."""
    train, test = mnist
    assert float((pca(train, test, 30) - test).square().sum(1).mean()) == pytest.approx(13.87, abs=0.005)
