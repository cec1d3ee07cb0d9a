"""``sample_weight`` of the estimators that train RBMs."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse

from dbn.sklearn import DBN, RBM

ROWS = np.random.default_rng(0).random((60, 6)).round(1)
HEAVY = (np.arange(60) < 20).astype(float)


@pytest.mark.parametrize("estimator", [RBM(8, n_iter=3), RBM(8, n_iter=3, sampler="cd"), DBN((6, 4), n_iter=3)])
@pytest.mark.parametrize("sparse", [False, True])
def test_rows_of_weight_zero_are_not_there(estimator: Any, sparse: bool) -> None:
    """Whatever the weight of the others; those that are there are scaled alike."""
    X = scipy.sparse.csr_array(ROWS) if sparse else ROWS
    estimator.set_params(random_state=0, scaling="range")
    found = estimator.fit(X, sample_weight=2.5 * HEAVY).transform(ROWS)
    expected = estimator.fit(X[:20]).transform(ROWS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("estimator", [RBM(8, n_iter=40, sampler="cd", batch_size=60), DBN((8,), n_iter=40)])
def test_heavy_rows_are_modelled(estimator: Any) -> None:
    """Visible biases end near the weighted means of the columns."""
    X = np.concatenate([np.zeros((30, 5)), np.ones((30, 5))])
    weights = np.repeat([9.0, 1.0], 30)
    model = estimator.set_params(random_state=0).fit(X, sample_weight=weights)
    plain = estimator.set_params(random_state=0).fit
    rbm = model.rbm_ if isinstance(model, RBM) else model.dbn_[0]
    bias = rbm.visible.bias.detach().numpy().copy()
    other = plain(X)
    rbm = other.rbm_ if isinstance(other, RBM) else other.dbn_[0]
    assert (bias < rbm.visible.bias.detach().numpy() - 0.1).all()


@pytest.mark.parametrize("weights", [-HEAVY, 0 * HEAVY, HEAVY[:10], np.where(HEAVY > 0, np.nan, 1.0)])
@pytest.mark.parametrize("estimator", [RBM(4, n_iter=1), DBN((4,), n_iter=1)])
def test_what_are_no_weights_is_refused(estimator: Any, weights: Any) -> None:
    with pytest.raises(ValueError, match=r"weight|NaN"):
        estimator.fit(ROWS, sample_weight=weights)
