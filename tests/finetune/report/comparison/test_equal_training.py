"""Test NLL at equal training NLL."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from finetune.report.comparison.equal_training import difference_at_equal_training
from finetune.report.pages.why import equal_training_sentences


def add_losses(study: Any, name: str, train: Any, test: Any, **content: Any) -> None:
    for seed, (own, other) in enumerate(zip(train, test, strict=True)):
        metrics = {"test/error": 0.1, "train/nll": float(own), "test/nll": float(other)}
        study.run(name, seed, metrics=metrics, **content)


def test_the_difference_at_equal_training_is_that_of_partial_regression(study):
    """Frisch, Waugh & Lovell: residuals on residuals give the same slope; scipy fits those."""
    generator = np.random.default_rng(1)
    train = {"dbn": generator.uniform(0.01, 0.1, 12), "he": generator.uniform(0.01, 0.1, 9)}
    test = {
        name: 0.3 - 0.05 * np.log(own) - 0.04 * (name == "dbn") + generator.normal(0, 0.01, len(own))
        for name, own in train.items()
    }
    low = max(own.min() for own in train.values())
    high = min(own.max() for own in train.values())
    for name in train:
        add_losses(study, name, train[name], test[name])
    found = difference_at_equal_training(study.arm_named("dbn"), study.arm_named("he"))
    kept = {name: (own >= low) & (own <= high) for name, own in train.items()}
    x = np.log(np.concatenate([train[name][kept[name]] for name in train]))
    y = np.concatenate([test[name][kept[name]] for name in train])
    first = np.repeat([1.0, 0.0], [kept[name].sum() for name in train])
    residuals = [own - stats.linregress(x, own).slope * x - stats.linregress(x, own).intercept for own in (first, y)]
    fitted = stats.linregress(*residuals)
    error = fitted.stderr * np.sqrt((len(y) - 2) / (len(y) - 3))
    half = stats.t.ppf(0.975, len(y) - 3) * error
    assert found.n == len(y)
    assert found.difference == pytest.approx(fitted.slope, rel=1e-9)
    assert found.interval.low == pytest.approx(fitted.slope - half, rel=1e-9)
    assert found.interval.high == pytest.approx(fitted.slope + half, rel=1e-9)
    (words,) = equal_training_sentences(study.section())
    assert "lower, as with a regulariser" in words


def test_without_equal_training_nothing_is_said_about_it(study):
    add_losses(study, "dbn", [0.1, 0.2, 0.3, 0.4], [0.5] * 4)
    add_losses(study, "he", [0.01, 0.02, 0.03, 0.35], [0.5] * 4)
    assert difference_at_equal_training(study.arm_named("dbn"), study.arm_named("he")) is None
    (words,) = equal_training_sentences(study.section())
    assert words.startswith("No comparison at equal training NLL: dbn ends at a training NLL of 0.1 to 0.4")


def test_the_question_is_put_to_the_random_arm_with_the_same_network(study):
    for name, activation in (("dbn", "sigmoid"), ("sigmoid", "sigmoid"), ("relu", "relu")):
        error = {"relu": 0.1}.get(name, 0.2)  # the better one is not the one to ask
        for seed, train in enumerate((0.1, 0.2, 0.3, 0.4, 0.5)):
            metrics = {"test/error": error, "train/nll": train, "test/nll": train + 0.01 * seed}
            study.run(name, seed, metrics=metrics, config={"network": {"activation": activation}})
    (words,) = equal_training_sentences(study.section())
    assert "dbn minus that of sigmoid" in words
