"""DBNRegressor: targets in their own units, rows without target, weights, files."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_score

from finetune import Network
from finetune.sklearn import DBNRegressor

X, Y = load_diabetes(return_X_y=True)
SMALL: dict[str, Any] = {"hidden_layer_sizes": (30,), "pretraining_epochs": 2, "epochs": 20, "random_state": 0}


def fitted(y: Any = Y, sample_weight: Any = None, **settings: Any) -> DBNRegressor:
    return DBNRegressor(**{**SMALL, **settings}).fit(X, y, sample_weight)


def test_it_predicts_nearly_as_well_as_a_line_does() -> None:
    """Which on these data is hard to beat: R2 in five folds, within 0.05."""
    ours, line = (cross_val_score(kind, X, Y).mean() for kind in (DBNRegressor(**SMALL), LinearRegression()))
    assert ours > line - 0.05


def test_units_of_the_target_do_not_matter() -> None:
    np.testing.assert_allclose(fitted(1000 * Y - 7).predict(X), 1000 * fitted().predict(X) - 7, rtol=1e-3)


def test_rows_without_target_are_for_pretraining_only() -> None:
    some = np.where(np.arange(len(Y)) % 3 == 0, Y, np.nan)
    weights = np.where(np.isnan(some), 0.0, 5.0)
    assert np.array_equal(fitted(some).predict(X), fitted(sample_weight=weights).predict(X))
    alone = DBNRegressor(**SMALL).fit(X[::3], Y[::3])
    assert not np.array_equal(alone.predict(X), fitted(some).predict(X))


def test_several_targets_are_learned_at_once() -> None:
    both = fitted(np.c_[Y, -3 * Y])
    assert both.predict(X).shape == (442, 2)
    assert both.score(X, np.c_[Y, -3 * Y]) > 0.4


def test_weights_pull() -> None:
    heavy = np.where(np.median(Y) < Y, 10.0, 1.0)
    assert fitted(sample_weight=heavy).predict(X).mean() > fitted().predict(X).mean() + 10


def test_early_stopping_goes_by_the_error() -> None:
    stopped = fitted(epochs=400, early_stopping=True, n_iter_no_change=3)
    assert 3 < stopped.n_iter_ < 400


def test_its_network_is_used_without_it() -> None:
    regressor = fitted()
    regressor.network_.save("network.safetensors")
    found = Network.load("network.safetensors").predict(X)
    np.testing.assert_allclose(found[:, 0], regressor.predict(X), rtol=1e-4)


@pytest.mark.parametrize(
    ("y", "message"),
    [(np.full(len(Y), np.nan), "No row has both a target and a weight"), (Y[:-1], "y has 441 rows, X has 442")],
)
def test_what_is_invalid_is_named(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted(y)
