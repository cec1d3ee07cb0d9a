"""DBNClassifier: labels of any kind and none, weights, stopping, and that it leaves no trace."""

import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline

from dbn.errors import DivergenceError
from finetune import Network
from finetune.sklearn import DBNClassifier

X, Y = load_digits(return_X_y=True)
SMALL: dict[str, Any] = {
    "hidden_layer_sizes": (30,), "pretraining_epochs": 3, "epochs": 10, "random_state": 0,
}  # fmt: skip


def few(n: int, seed: int) -> tuple[Any, Any, Any, Any]:
    """Digits of which only ``n`` of the training rows have a label, and test digits."""
    train, test, y, y_test = train_test_split(X, Y, test_size=500, random_state=seed, stratify=Y)
    labelled, _ = train_test_split(np.arange(len(y)), train_size=n, random_state=seed, stratify=y)
    marked = np.full_like(y, -1)
    marked[labelled] = y[labelled]
    return train, marked, test, y_test


def logits(X_: Any = X, y: Any = Y, sample_weight: Any = None, **settings: Any) -> Any:
    """Outputs of the network that is fitted, whose equality is that of all its bits."""
    fitted = DBNClassifier(**{**SMALL, **settings}).fit(X_, y, sample_weight)
    return fitted._outputs(X, lambda outputs: outputs)


def test_unlabelled_rows_make_few_labels_worth_more() -> None:
    """Fifty labels: lower error than the same network from random weights, paired over four seeds."""
    gains = []
    for seed in range(4):
        train, y, test, y_test = few(50, seed)
        settings: dict[str, Any] = {"hidden_layer_sizes": (200, 200), "random_state": seed, "epochs": 100}
        with_all, without = (
            DBNClassifier(**settings, pretraining_epochs=n).fit(train, y).score(test, y_test) for n in (30, 0)
        )
        gains.append(with_all - without)
    assert np.mean(gains) > 2 * np.std(gains, ddof=1) / 2
    assert np.mean(gains) > 0.01


def test_unlabelled_rows_are_for_pretraining_only() -> None:
    train, y, _, _ = few(100, 0)
    fitted = DBNClassifier(**SMALL).fit(train, y)
    assert fitted.classes_.tolist() == list(range(10))
    random_start = {"pretraining_epochs": 0, "scaling": "range"}
    alone = logits(np.vstack([train[y >= 0], np.full((1, 64), 16.0), np.zeros((1, 64))]),
                   np.append(y[y >= 0], [-1, -1]), **random_start)  # fmt: skip
    assert np.array_equal(alone, logits(train, y, **random_start))  # without pretraining they do nothing
    assert not np.array_equal(logits(train[y >= 0], y[y >= 0]), logits(train, y))


def test_minus_one_is_a_class_beside_one_alone() -> None:
    binary = np.where(Y < 5, -1, 1)
    fitted = DBNClassifier(**SMALL).fit(X, binary)
    assert fitted.classes_.tolist() == [-1, 1]
    assert fitted.score(X, binary) > 0.8
    assert DBNClassifier(**SMALL).fit(X, np.where(Y < 5, -1, Y)).classes_.tolist() == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("kind", ["text", "objects", "list", "booleans", "floats", "bytes"])
def test_classes_of_any_type(kind: str) -> None:
    names = np.array(["nought", "one", "two"])
    rows, y = X[Y < 3], Y[Y < 3]
    given: Any = {
        "text": names[y], "objects": names.astype(object)[y], "list": names[y].tolist(), "booleans": y > 0,
        "floats": y.astype(float), "bytes": y.astype(np.uint8),
    }[kind]  # fmt: skip
    fitted = DBNClassifier(**SMALL).fit(rows, given)
    assert fitted.classes_.tolist() == sorted(set(np.asarray(given).tolist()))
    assert fitted.predict(rows).dtype == np.asarray(given).dtype
    assert fitted.score(rows, given) > 0.9


@pytest.mark.parametrize("as_list", [False, True])
def test_text_has_unlabelled_rows_among_objects(as_list: bool) -> None:
    y = np.where(Y < 3, np.array(["nought", "one", "two", *"-" * 7], dtype=object)[Y], -1)
    fitted = DBNClassifier(**SMALL).fit(X, y.tolist() if as_list else y)
    assert fitted.classes_.tolist() == ["nought", "one", "two"]
    expected = logits(X, np.where(Y < 3, Y, -1))
    assert np.array_equal(fitted._outputs(X, lambda outputs: outputs), expected)


def test_a_weight_of_zero_is_no_label() -> None:
    weights = np.where(np.arange(len(Y)) % 3 == 0, 2.0, 0.0)
    assert np.array_equal(logits(sample_weight=weights), logits(y=np.where(weights > 0, Y, -1)))


def test_weights_of_classes_are_weights_of_their_rows() -> None:
    of_class = {label: 1.0 + (label == 3) for label in range(10)}
    expected = logits(sample_weight=np.array([of_class[label] for label in Y]))
    assert np.array_equal(logits(class_weight=of_class), expected)
    assert not np.array_equal(logits(), expected)
    assert np.array_equal(logits(sample_weight=np.full(len(Y), 7.0)), logits())


def test_the_gradient_of_a_weighted_step_is_the_formula() -> None:
    """One step from random weights on all rows at once: the change of the output biases, in closed form."""
    weights = np.random.default_rng(0).uniform(0, 2, len(Y))
    settings: dict[str, Any] = {
        "pretraining_epochs": 0, "epochs": 1, "batch_size": len(Y), "weight_decay": 0.0, "random_state": 0,
    }  # fmt: skip
    one = DBNClassifier((30,), **settings, learning_rate=1e-3).fit(X, Y, weights)
    none = DBNClassifier((30,), **settings, learning_rate=1e-12).fit(X, Y, weights)
    change = (one.network_.layers[-1].bias - none.network_.layers[-1].bias).detach().numpy()
    share = weights / weights.mean()
    gradient = (share[:, None] * (none.predict_proba(X) - np.eye(10)[Y])).mean(0)
    np.testing.assert_allclose(change, -1e-3 * 1.9 * gradient, rtol=2e-3)  # Nesterov's first step is 1 + momentum


def test_balanced_weights_find_the_rare_class() -> None:
    rare = np.random.default_rng(0).permutation(np.flatnonzero(Y == 8))[:12]
    rows = np.concatenate([np.flatnonzero(Y == 3), rare])
    rest = np.setdiff1d(np.flatnonzero(Y == 8), rare)
    recalls = [
        recall_score(Y[rest], DBNClassifier((30,), class_weight=weight, epochs=3, random_state=0)
                     .fit(X[rows], Y[rows]).predict(X[rest]), labels=[8], average="macro")
        for weight in (None, "balanced")
    ]  # fmt: skip
    assert recalls[1] > recalls[0] + 0.05


def test_early_stopping_keeps_the_best_weights() -> None:
    """Stopping is before the last epoch; with patience 1 and a huge rate the network is not the last one."""
    fitted = DBNClassifier(**{**SMALL, "epochs": 300}, early_stopping=True, n_iter_no_change=5).fit(X, Y)
    assert 5 < fitted.n_iter_ < 300
    assert len(fitted.loss_curve_) == fitted.n_iter_
    assert fitted.score(X, Y) > 0.9
    longer = DBNClassifier(**{**SMALL, "epochs": fitted.n_iter_ - 5}, early_stopping=True, n_iter_no_change=99).fit(
        X, Y
    )
    assert np.array_equal(longer.predict_proba(X), fitted.predict_proba(X))  # the same best epoch


def test_warm_start_goes_on() -> None:
    fitted = DBNClassifier(**{**SMALL, "epochs": 3, "learning_rate": 0.02}, warm_start=True).fit(X, Y)
    before, stack = fitted.loss_curve_, fitted.dbn_
    assert fitted.fit(X, Y).loss_curve_[0] < before[0]
    assert fitted.dbn_ is stack
    with pytest.raises(ValueError, match="those of the previous fit"):
        fitted.fit(X, Y + 1)
    with pytest.raises(ValueError, match="64-30-10 units, this one would have 64-20-10"):
        fitted.set_params(hidden_layer_sizes=(20,)).fit(X, Y)


def test_every_setting_counts() -> None:
    for name, value in {"activation": "relu", "pretraining_epochs": 2, "pretraining_learning_rate": 0.2,
                        "pretraining_batch_size": 50, "gibbs_steps": 2, "epochs": 9, "learning_rate": 0.2,
                        "batch_size": 30, "dropout": 0.2, "weight_decay": 0.01, "early_stopping": True,
                        "scaling": "standard", "random_state": 1}.items():  # fmt: skip
        assert not np.array_equal(logits(), logits(**{name: value})), name
    assert np.array_equal(logits(), logits())


def test_rows_of_any_kind_give_the_same_bits() -> None:
    assert np.array_equal(logits(scipy.sparse.csr_matrix(X)), logits())
    assert np.array_equal(logits(X.astype(np.uint8)), logits())


def test_it_works_on_tables() -> None:
    for load, least in ((load_iris, 0.9), (load_wine, 0.93)):
        assert cross_val_score(DBNClassifier((50,), random_state=0), *load(return_X_y=True)).mean() > least


def test_features_serve_another_classifier() -> None:
    pipeline = make_pipeline(DBNClassifier(**SMALL), LogisticRegression(max_iter=300))
    assert pipeline.fit(X[:1000], Y[:1000]).score(X[1000:], Y[1000:]) > 0.85
    frame = DBNClassifier(**SMALL).set_output(transform="pandas").fit(X, Y).transform(X)
    assert list(frame.columns[:2]) == ["dbnclassifier0", "dbnclassifier1"]
    two = DBNClassifier(**{**SMALL, "hidden_layer_sizes": (30, 12)}).fit(X, Y)
    assert two.transform(X).shape == (1797, 12)
    first = two.set_params(layer=1).transform(X)
    assert len(two.get_feature_names_out()) == 30
    x = torch.from_numpy((X / 16).astype(np.float32))
    np.testing.assert_allclose(first, two.network_.hidden(x)[0].detach().numpy(), atol=1e-6)


def test_grids_and_pickles() -> None:
    grid = {"hidden_layer_sizes": [(10,), (10, 10)], "learning_rate": np.array([0.1, 0.3])}
    found = GridSearchCV(DBNClassifier(**SMALL), grid, cv=2, error_score="raise").fit(X[:300], Y[:300])
    other = pickle.loads(pickle.dumps(found))
    assert np.array_equal(other.predict_proba(X), found.predict_proba(X))
    assert clone(other.best_estimator_).get_params() == found.best_estimator_.get_params()


def test_its_network_is_used_without_it() -> None:
    fitted = DBNClassifier(**SMALL).fit(X, Y)
    fitted.network_.save("network.safetensors")
    network = Network.load("network.safetensors")
    np.testing.assert_allclose(network.predict_proba(X), fitted.predict_proba(X), atol=1e-6)
    assert network.meaning is not None
    assert network.meaning.classes == tuple("0123456789")


def test_a_fit_leaves_no_trace(capfd: pytest.CaptureFixture[str]) -> None:
    classifier = DBNClassifier(**SMALL, early_stopping=True).fit(X, Y)
    before, threads, filters = torch.get_rng_state(), torch.get_num_threads(), warnings.filters[:]
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.fit(X, Y)
        classifier.predict(X)
    assert torch.equal(before, torch.get_rng_state())
    assert (threads, filters) == (torch.get_num_threads(), warnings.filters[:])
    assert torch.is_grad_enabled()
    assert capfd.readouterr() == ("", "")
    assert not list(Path().iterdir())


def test_verbose_prints_a_line_per_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    DBNClassifier(**{**SMALL, "pretraining_epochs": 0, "epochs": 2}, verbose=1).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert [re.sub(r"\d+\.\d+", "N", line) for line in lines] == [
        f"[DBNClassifier] Epoch {k}, loss = N" for k in (1, 2)
    ]


@pytest.mark.parametrize(
    ("settings", "y", "message"),
    [
        ({"epochs": 0}, Y, "DBNClassifier.epochs=0"),
        ({"activation": "tanh"}, Y, "DBNClassifier.activation='tanh': no such choice"),
        ({"layer": 2}, Y, "DBNClassifier.layer=2: it must be a whole number from 1 to 1"),
        ({"class_weight": "balance"}, Y, "class_weight"),
        ({}, np.full(len(Y), -1), "y holds no label"),
        ({}, np.full(len(Y), 4), "one class only, .*4"),
        ({}, np.linspace(0, 1, len(Y)), "continuous"),
        ({"early_stopping": True}, np.where(np.arange(len(Y)) < 11, Y, -1), "early_stopping: 11 rows, .*too few"),
    ],
)
def test_what_is_invalid_is_named(settings: dict[str, Any], y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DBNClassifier(**{**SMALL, **settings}).fit(X, y)


def test_divergence_names_the_parameter() -> None:
    with pytest.raises(DivergenceError, match=r"DBNClassifier diverged: .* Lower learning_rate \(it is 1e\+18\)"):
        DBNClassifier(**{**SMALL, "learning_rate": 1e18, "activation": "relu"}).fit(X, Y)
