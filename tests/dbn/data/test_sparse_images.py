"""Rows of a sparse matrix are read as the same rows when dense."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
import torch

from dbn.data.block_loader import BlockLoader
from dbn.data.images import Images
from dbn.data.sparse_images import SparseImages

ROWS = np.random.default_rng(0).poisson(0.3, (90, 12)).astype(np.float64)
LABELS, WEIGHTS = torch.arange(90) % 3, torch.rand(90, generator=torch.Generator().manual_seed(0))


def pair(make: type, factor: float = 0.5) -> tuple[SparseImages, Images]:
    """The rows sparse and dense, with labels, weights and a scaling."""
    more = {"labels": LABELS, "weights": WEIGHTS, "offset": torch.tensor(0.25), "factor": torch.tensor(factor)}
    return replace(SparseImages.of(make(ROWS)), **more), replace(Images.from_features(ROWS), **more)


@pytest.mark.parametrize("make", [scipy.sparse.csr_matrix, scipy.sparse.csc_array, scipy.sparse.coo_matrix])
def test_features_are_those_of_dense_rows(make: type) -> None:
    sparse, dense = pair(make)
    assert (len(sparse), sparse.n_features, sparse.dtype) == (90, 12, torch.float32)
    for index in (None, slice(3, 50), torch.tensor([7, 0, 7]), torch.arange(90) % 2 == 0):
        assert torch.equal(sparse.features(index), dense.features(index))
    assert torch.equal(sparse.mean(), dense.mean())
    some = torch.tensor([5, 2])
    taken = sparse.take(some)
    assert torch.equal(taken.features(), dense.take(some).features())
    assert torch.equal(taken.labels, LABELS[some])
    assert torch.equal(taken.weights, WEIGHTS[some])


def test_blocks_are_those_of_dense_rows() -> None:
    loaders = [BlockLoader(own, batch_size=7, minibatches_per_block=4, seed=1) for own in pair(scipy.sparse.csr_array)]
    for _ in range(2):
        for block, expected in zip(*loaders, strict=True):
            for own, other in zip(block.minibatches(), expected.minibatches(), strict=True):
                assert torch.equal(own.features, other.features)
                assert torch.equal(own.labels, other.labels)
                assert torch.equal(own.weights, other.weights)


def test_a_matrix_too_large_to_be_dense_is_read_in_blocks() -> None:
    """A terabyte if it were dense."""
    matrix = scipy.sparse.random(2_500_000, 100_000, density=4e-10, format="csr", rng=np.random.default_rng(0))
    block = next(iter(BlockLoader(SparseImages.of(matrix), batch_size=10, seed=0)))
    assert block.features.shape[1] == 100_000
