"""Which scaling is chosen for which data, and that it is the same however they are given."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine

from dbn.sklearn import RBM
from dbn.sklearn.inputs import Inputs

DIGITS = load_digits().data


@pytest.mark.parametrize(
    ("X", "kind", "visible"),
    [
        (DIGITS / 16, "none", "bernoulli"),
        ((DIGITS > 7).astype(float), "none", "bernoulli"),
        (DIGITS, "range", "bernoulli"),
        (DIGITS[:40].astype(np.uint8), "range", "bernoulli"),
        (load_iris().data, "standard", "gaussian"),
        (load_wine().data, "standard", "gaussian"),
        (load_breast_cancer().data, "standard", "gaussian"),
        (load_diabetes().data, "standard", "gaussian"),
        (-DIGITS, "standard", "gaussian"),
    ],
)
def test_pictures_and_tables_are_told_apart(X: Any, kind: str, visible: str) -> None:
    found = Inputs.of(X, "auto")
    assert (found.kind, found.visible) == (kind, visible)


def test_a_range_is_that_of_the_whole_matrix() -> None:
    features = Inputs.of(DIGITS - 3, "range").images(DIGITS - 3).features().numpy()
    np.testing.assert_allclose(features, DIGITS / 16, atol=1e-7)


def test_columns_are_standardised_one_by_one() -> None:
    X = load_wine().data
    features = Inputs.of(X, "standard").images(X).features().numpy()
    np.testing.assert_allclose(features, (X - X.mean(0)) / X.std(0), atol=1e-4)


def test_a_constant_column_becomes_zero() -> None:
    X = np.c_[np.full(20, 1234.5678), np.arange(20.0) - 9]
    assert np.abs(Inputs.of(X, "standard").images(X).features().numpy()[:, 0]).max() < 1e-3


@pytest.mark.parametrize(
    "given",
    [DIGITS.astype(np.float32), DIGITS.astype(np.uint8), DIGITS.astype(int), DIGITS.tolist(),
     scipy.sparse.csr_matrix(DIGITS), scipy.sparse.coo_array(DIGITS.astype(np.float32))],
)  # fmt: skip
@pytest.mark.parametrize("scaling", ["auto", "standard"])
def test_the_same_rows_in_any_type_train_to_the_same_bits(given: Any, scaling: str) -> None:
    def weights(X: Any) -> Any:
        return RBM(5, n_iter=2, batch_size=100, scaling=scaling, random_state=0).fit(X).rbm_.weight.detach().numpy()

    assert np.array_equal(weights(given), weights(DIGITS))


def test_what_is_out_of_range_is_refused_where_nothing_is_scaled() -> None:
    with pytest.raises(
        ValueError, match=r'X holds values from 0 to 16, but binary .* need \[0, 1\]\. Use scaling="auto"'
    ):
        RBM(scaling="none").fit(DIGITS)


def test_values_beyond_float32_are_refused() -> None:
    with pytest.raises(ValueError, match="too large for float32"):
        RBM().fit(np.array([[0.0, 1e300], [1.0, 2.0]]))
