"""``sample_weight`` of the estimators that train RBMs."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse

from dbn.sklearn import DBN, RBM, ClassRBM

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


def test_classes_of_rows_of_weight_zero_are_not_there() -> None:
    y = np.where(HEAVY > 0, np.arange(60) % 2, 7)
    classifier = ClassRBM(8, n_iter=3, scaling="range", random_state=0)
    found = classifier.fit(ROWS, y, sample_weight=2.5 * HEAVY).predict_proba(ROWS)
    assert classifier.classes_.tolist() == [0, 1]
    np.testing.assert_allclose(found, classifier.fit(ROWS[:20], y[:20]).predict_proba(ROWS), rtol=0, atol=1e-6)


@pytest.mark.parametrize("objective", ["discriminative", "generative", "hybrid"])
def test_heavy_rows_decide_the_class(objective: str) -> None:
    """All rows are the same, and a quarter of them, nine times as heavy as the others, says one class."""
    X, y = np.full((80, 5), 0.5), (np.arange(80) % 4 == 0).astype(int)
    classifier = ClassRBM(4, objective=objective, n_iter=60, scaling="none", random_state=0)
    (probability,) = classifier.fit(X, y, sample_weight=np.where(y, 9.0, 1.0)).predict_proba(X[:1])[:, 1]
    assert probability == pytest.approx(0.75, abs=0.1)  # 20 x 9 of 20 x 9 + 60
    (probability,) = classifier.fit(X, y).predict_proba(X[:1])[:, 1]
    assert probability == pytest.approx(0.25, abs=0.1)


@pytest.mark.parametrize("weights", [-HEAVY, 0 * HEAVY, HEAVY[:10], np.where(HEAVY > 0, np.nan, 1.0)])
@pytest.mark.parametrize("estimator", [RBM(4, n_iter=1), DBN((4,), n_iter=1), ClassRBM(4, n_iter=1)])
def test_what_are_no_weights_is_refused(estimator: Any, weights: Any) -> None:
    with pytest.raises(ValueError, match=r"weight|NaN"):
        estimator.fit(ROWS, np.arange(60) % 2, sample_weight=weights)
