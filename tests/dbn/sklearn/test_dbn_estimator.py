"""The DBN of scikit-learn users."""

import pickle
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from sklearn.datasets import load_digits, load_wine

import dbn
from dbn.sklearn import DBN

X = load_digits().data
SMALL: dict[str, Any] = {"hidden_layer_sizes": (20, 10), "n_iter": 2, "random_state": 0}


@pytest.fixture(scope="module")
def fitted() -> DBN:
    return DBN(**SMALL).fit(X)


def test_features_are_those_of_the_stack(fitted: DBN) -> None:
    expected = fitted.dbn_.up(torch.from_numpy((X / 16).astype(np.float32))).numpy()
    np.testing.assert_allclose(fitted.transform(X), expected, atol=1e-6)
    assert fitted.transform(X).dtype == np.float64
    assert fitted.transform(X.astype(np.float32)).dtype == np.float32
    first = pickle.loads(pickle.dumps(fitted)).set_params(layer=1)
    assert first.transform(X).shape == (1797, 20)
    assert len(first.get_feature_names_out()) == 20
    expected = fitted.dbn_.up(torch.from_numpy((X / 16).astype(np.float32)), 1).numpy()
    np.testing.assert_allclose(first.transform(X), expected, atol=1e-6)


def test_reconstructions_are_in_the_units_of_the_rows(fitted: DBN) -> None:
    back = fitted.inverse_transform(fitted.transform(X))
    assert back.min() >= 0
    assert back.max() <= 16
    assert np.corrcoef(back.mean(0), X.mean(0))[0, 1] > 0.9


def test_scores_are_cross_entropies_of_reconstructions(fitted: DBN) -> None:
    v, r = X / 16, fitted.inverse_transform(fitted.transform(X)) / 16
    expected = (v * np.log(r) + (1 - v) * np.log1p(-r)).sum(1)
    np.testing.assert_allclose(fitted.score_samples(X), expected, rtol=1e-6)


def test_scores_of_real_units_are_normal_densities() -> None:
    wine = load_wine().data
    dbn = DBN((8, 4), n_iter=2, random_state=0).fit(wine)
    v, r = ((rows - wine.mean(0)) / wine.std(0) for rows in (wine, dbn.inverse_transform(dbn.transform(wine))))
    expected = -0.5 * ((v - r) ** 2 + np.log(2 * np.pi)).sum(1)
    np.testing.assert_allclose(dbn.score_samples(wine), expected, rtol=1e-4)


def test_gibbs_gives_states(fitted: DBN) -> None:
    assert set(np.unique(fitted.gibbs(X[:20]))) == {0.0, 16.0}


def test_seeds_settings_and_sparse_rows() -> None:
    def top(rows: Any = X, **settings: Any) -> Any:
        return DBN(**{**SMALL, **settings}).fit(rows).dbn_[1].weight.detach().numpy()

    assert np.array_equal(top(), top())
    assert np.array_equal(top(scipy.sparse.csr_matrix(X)), top())
    for name, value in {"random_state": 1, "sampler": "pcd", "gibbs_steps": 2, "n_iter": 3, "momentum": 0.3,
                        "weight_decay": 0.1, "batch_size": 30, "learning_rate": 0.2}.items():  # fmt: skip
        assert not np.array_equal(top(), top(**{name: value})), name


def test_its_file_is_read_without_it(fitted: DBN) -> None:
    fitted.dbn_.save("dbn.safetensors")
    np.testing.assert_allclose(dbn.DBN.load("dbn.safetensors").transform(X), fitted.transform(X), atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_layer_sizes": ()}, r"DBN\.hidden_layer_sizes=\[?\(?.*give the number of hidden units of each layer"),
        ({"hidden_layer_sizes": (10, 0)}, "hidden_layer_sizes"),
        ({"layer": 3}, r"DBN\.layer=3: it must be a whole number from 1 to 2"),
        ({"n_iter": 0}, r"DBN\.n_iter=0"),
    ],
)
def test_invalid_parameters_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DBN(**{**SMALL, **settings}).fit(X)


def test_a_number_is_one_layer() -> None:
    assert DBN(12, n_iter=1).fit(X).dbn_.sizes == [64, 12]
