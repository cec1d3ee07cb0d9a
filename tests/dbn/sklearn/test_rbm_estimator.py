"""The RBM of scikit-learn users: what it gives, beside ``BernoulliRBM``."""

import pickle
import random
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline

from dbn.errors import DivergenceError
from dbn.sklearn import DBN, RBM

X, Y = load_digits(return_X_y=True)
X = X / 16
SMALL: dict[str, Any] = {"n_components": 20, "n_iter": 2, "batch_size": 50, "random_state": 0}


def weights(**settings: Any) -> Any:
    return RBM(**{**SMALL, **settings}).fit(X).components_


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_attributes_are_those_of_bernoulli_rbm(dtype: Any) -> None:
    ours, theirs = (kind(**SMALL).fit(X.astype(dtype)) for kind in (RBM, BernoulliRBM))
    for name in ("components_", "intercept_hidden_", "intercept_visible_", "h_samples_"):
        own, expected = getattr(ours, name), getattr(theirs, name)
        assert (own.shape, own.dtype) == (expected.shape, expected.dtype), name
    assert set(np.unique(ours.h_samples_)) == {0.0, 1.0}
    assert ours.get_feature_names_out()[1] == "rbm1"
    assert theirs.get_params().keys() <= ours.get_params().keys()
    for name, value in BernoulliRBM().get_params().items():
        assert RBM().get_params()[name] == value, name


def test_before_a_fit_there_is_nothing() -> None:
    rbm = RBM()
    assert not hasattr(rbm, "components_")
    assert not hasattr(rbm, "h_samples_")
    for method in (rbm.transform, rbm.inverse_transform, rbm.score_samples, rbm.gibbs):
        with pytest.raises(NotFittedError):
            method(X)
    assert not hasattr(RBM(**SMALL, sampler="cd").fit(X), "h_samples_")


@pytest.mark.parametrize("scaling", ["none", "standard"])
def test_features_and_reconstructions_are_the_formulas(scaling: str) -> None:
    rbm = RBM(**SMALL, scaling=scaling).fit(X)
    scale = 1 / rbm.inputs_.scaling.factor.numpy().astype(float) if scaling == "standard" else 1.0
    offset = rbm.inputs_.scaling.offset.numpy().astype(float)
    h = expit((X - offset) / scale @ rbm.components_.T + rbm.intercept_hidden_)
    np.testing.assert_allclose(rbm.transform(X), h, atol=1e-6)
    field = h @ rbm.components_ + rbm.intercept_visible_
    expected = field * scale + offset if scaling == "standard" else expit(field)
    np.testing.assert_allclose(rbm.inverse_transform(h), expected, atol=1e-6)


def test_scores_are_the_mean_of_those_that_bernoulli_rbm_estimates() -> None:
    """Of 400 estimates for each of 30 rows, within five standard errors."""
    ours = RBM(**SMALL).fit(X)
    theirs = BernoulliRBM(20)
    theirs.components_, theirs.intercept_hidden_ = ours.components_, ours.intercept_hidden_
    theirs.intercept_visible_, theirs.n_features_in_ = ours.intercept_visible_, 64
    rows = (X[:30] > 0.5).astype(float)
    estimates = np.array([theirs.set_params(random_state=k).score_samples(rows) for k in range(400)])
    error = estimates.std(0) / 20
    assert np.all(np.abs(ours.score_samples(rows) - estimates.mean(0)) < 5 * error)


def test_gibbs_gives_states_in_the_units_of_the_rows() -> None:
    rbm = RBM(**SMALL).fit(X * 16)
    first, second = rbm.gibbs(X[:50] * 16), rbm.gibbs(X[:50] * 16)
    assert set(np.unique(first)) == {0.0, 16.0}
    assert not np.array_equal(first, second)
    again = RBM(**SMALL).fit(X * 16)
    assert np.array_equal(again.gibbs(X[:50] * 16), first)
    wine = load_wine().data
    moved = RBM(**SMALL).fit(wine).gibbs(wine)
    assert np.all(np.abs(moved.mean(0) - wine.mean(0)) < 5 * wine.std(0) * np.sqrt(2 / len(wine)))


def test_the_same_seed_gives_the_same_bits() -> None:
    assert np.array_equal(weights(), weights())
    assert np.array_equal(weights(random_state=np.random.RandomState(0)), weights())
    assert not np.array_equal(weights(), weights(random_state=1))
    for name, value in {"sampler": "cd", "gibbs_steps": 3, "momentum": 0.9, "weight_decay": 0.1, "n_iter": 3,
                        "learning_rate": 0.2, "batch_size": 30, "scaling": "standard"}.items():  # fmt: skip
        assert not np.array_equal(weights(), weights(**{name: value})), name


def of_process() -> tuple[Any, ...]:
    """Global random states, and settings of torch and of warnings."""
    return (
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002  # the global one that users may rely on
        random.getstate(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        warnings.filters[:],
    )


@pytest.mark.parametrize("make", [lambda: RBM(**SMALL), lambda: DBN((10, 5), n_iter=1, random_state=0)])
def test_a_fit_leaves_no_trace(make: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """No file, no word, no warning; global random states and torch's settings as they were."""
    make().fit(X)  # what is done once in a process
    before = of_process()
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make().fit(X)
    assert of_process() == before
    assert capfd.readouterr() == ("", "")
    assert not list(Path().iterdir())


def test_partial_fits_learn_as_those_of_bernoulli_rbm() -> None:
    """Minibatch by minibatch, ten passes: equal pseudo-likelihoods within 3 %, far from the start."""
    ours, theirs = RBM(20, random_state=0), BernoulliRBM(20, random_state=0)
    untrained = RBM(20, n_iter=0, random_state=0).fit(X)
    for _ in range(10):
        for start in range(0, len(X), 10):
            ours.partial_fit(X[start : start + 10])
            theirs.partial_fit(X[start : start + 10])
    judge = RBM(20, n_iter=0).fit(X)
    with torch.no_grad():
        judge.rbm_.weight.copy_(torch.from_numpy(theirs.components_.T))
        judge.rbm_.hidden.bias.copy_(torch.from_numpy(theirs.intercept_hidden_))
        judge.rbm_.visible.bias.copy_(torch.from_numpy(theirs.intercept_visible_))
    scores = [rbm.score_samples(X[:300]).mean() for rbm in (untrained, ours, judge)]
    assert scores[1] > 0.7 * scores[0]
    assert abs(scores[1] - scores[2]) < 0.03 * abs(scores[2])


def test_momentum_goes_on_between_partial_fits() -> None:
    def second_step(momentum: float) -> Any:
        rbm = RBM(**{**SMALL, "momentum": momentum})
        rbm.partial_fit(X[:50])
        before = rbm.components_
        return rbm.partial_fit(X[50:100]).components_ - before

    assert np.abs(second_step(0.9)).sum() > 1.2 * np.abs(second_step(0.0)).sum()


def test_later_rows_of_another_range_are_refused() -> None:
    rbm = RBM(5).partial_fit(X)
    with pytest.raises(ValueError, match=r"from 0 to 16, but .*The first rows have set the scaling"):
        rbm.partial_fit(X * 16)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_components": 0}, "RBM.n_components=0: it must be a whole number from 1"),
        ({"learning_rate": -0.1}, "RBM.learning_rate=-0.1: it must be a number above 0"),
        ({"sampler": "pdc"}, "RBM.sampler='pdc': no such choice. Did you mean pcd"),
        ({"scaling": True}, "RBM.scaling=true: no such choice"),
        ({"momentum": 1.0}, "RBM.momentum=1.0"),
        ({"n_iter": 2.5}, "RBM.n_iter=2.5"),
    ],
)
def test_invalid_parameters_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        RBM(**settings).fit(X)


def test_divergence_names_the_parameter() -> None:
    with pytest.raises(DivergenceError, match=r"RBM diverged: .* Lower learning_rate \(it is 1000000000.0\)"):
        RBM(**{**SMALL, "learning_rate": 1e9, "n_iter": 5}, scaling="standard").fit(X)


def test_it_lives_in_pipelines_and_grids() -> None:
    pipeline = make_pipeline(RBM(n_iter=1, random_state=0), LogisticRegression(max_iter=50))
    grid = {"rbm__n_components": np.array([5, 10]), "rbm__learning_rate": np.logspace(-2, -1, 2)}
    found = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X[:400], Y[:400])
    assert found.best_params_["rbm__n_components"] == 10
    assert len(clone(found.best_estimator_).set_params(rbm__n_iter=0).fit(X, Y).predict(X)) == len(X)


def test_a_pickled_one_goes_on() -> None:
    rbm = RBM(**SMALL).fit(X)
    other = pickle.loads(pickle.dumps(rbm))
    assert np.array_equal(other.transform(X), rbm.transform(X))
    assert np.array_equal(other.partial_fit(X[:50]).components_, rbm.partial_fit(X[:50]).components_)
    assert np.array_equal(other.gibbs(X[:5]), rbm.gibbs(X[:5]))


def test_frames_come_out_where_they_are_asked_for() -> None:
    frame = RBM(**SMALL).set_output(transform="pandas").fit_transform(X)
    assert list(frame.columns[:2]) == ["rbm0", "rbm1"]


def test_verbose_prints_a_line_per_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    RBM(**SMALL, verbose=1).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert [re.sub(r"\d+\.\d+", "N", line) for line in lines] == [
        f"[RBM] Iteration {k}, reconstruction error = N, time = Ns" for k in (1, 2)
    ]


def test_its_features_serve_as_well_as_those_of_bernoulli_rbm() -> None:
    """Accuracy of a logistic regression on them, five folds: not lower by more than a percentage point."""
    settings = {"n_components": 100, "learning_rate": 0.06, "n_iter": 10, "random_state": 0}
    ours, theirs = (
        cross_val_score(make_pipeline(kind(**settings), LogisticRegression(C=100, max_iter=300)), X, Y).mean()
        for kind in (RBM, BernoulliRBM)
    )
    assert ours > theirs - 0.01
    assert ours > 0.88
