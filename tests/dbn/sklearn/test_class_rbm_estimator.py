"""The class RBM of scikit-learn users: classes of any name, exact probabilities, rows of a class."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from dbn.errors import DataError, SettingError
from dbn.sklearn import ClassRBM

X, NUMBERS = load_digits(return_X_y=True)
Y = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])[NUMBERS]


@pytest.mark.parametrize("objective", ["hybrid", "generative", "discriminative"])
def test_it_learns_classes_with_names(objective: str) -> None:
    classifier = ClassRBM(60, objective=objective, n_iter=10, random_state=0).fit(X[:1200], Y[:1200])
    assert classifier.score(X[1200:], Y[1200:]) > 0.85
    assert set(classifier.predict(X[1200:])) <= set(Y)


def test_probabilities_are_those_of_the_model() -> None:
    """Summed over the states of a few hidden units, one by one."""
    classifier = ClassRBM(4, n_iter=2, random_state=0).fit(X, Y)
    rbm, v = classifier.rbm_.double(), torch.from_numpy(X[:20] / 16)
    h = rbm.hidden.states()
    per_state = h @ rbm.weight.T @ v.T + (h @ rbm.hidden.bias)[:, None]
    scores = (per_state[None] + (rbm.hidden.label_weight @ h.T)[..., None]).logsumexp(1).T + rbm.hidden.label_bias
    expected = scores.softmax(1).detach().numpy()
    np.testing.assert_allclose(classifier.predict_proba(X[:20]), expected, rtol=0, atol=1e-10)


def test_samples_of_a_class_look_like_it_in_the_units_of_the_rows() -> None:
    classifier = ClassRBM(100, objective="generative", n_iter=12, random_state=0).fit(X, Y)
    for name in ("zero", "three", "six"):
        rows = classifier.sample(name, n_samples=40, steps=100)
        assert rows.shape == (40, 64)
        assert 4 < rows.max() <= 16
        of_class = {other: np.linalg.norm(rows.mean(0) - X[other == Y].mean(0)) for other in set(Y)}
        assert min(of_class, key=of_class.get) == name  # type: ignore[arg-type]
    with pytest.raises(DataError, match="label='ten'"):
        classifier.sample("ten")


def test_bits_and_copies_and_searches() -> None:
    one, two = (ClassRBM(10, n_iter=2, random_state=3).fit(X, Y) for _ in range(2))
    assert np.array_equal(one.predict_proba(X), two.predict_proba(X))
    assert np.array_equal(pickle.loads(pickle.dumps(one)).predict_proba(X), one.predict_proba(X))
    search = GridSearchCV(ClassRBM(10, n_iter=5, random_state=0), {"objective": ["hybrid", "discriminative"]}, cv=2)
    assert search.fit(X, Y).best_score_ > 0.5


def test_wrong_parameters_and_rows_are_refused() -> None:
    with pytest.raises(SettingError, match="objective"):
        ClassRBM(objective="both").fit(X, Y)
    with pytest.raises(DataError, match="one class only"):
        ClassRBM().fit(X[:5], Y[:1].repeat(5))
    with pytest.raises(NotFittedError):
        ClassRBM().sample("one")


def test_a_line_per_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    ClassRBM(5, n_iter=3, verbose=1).fit(X, Y)
    assert capsys.readouterr().out.count("[ClassRBM] Iteration") == 3
