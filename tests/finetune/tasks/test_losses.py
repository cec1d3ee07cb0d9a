"""Losses against closed forms; Rosenblatt's rule and Novikoff's bound; the textbook's squared loss by hand."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dbn.errors import SettingError
from finetune.runs.network_run import finetune
from finetune.tasks.losses import LOSSES, cross_entropy, perceptron, squared
from finetune.tasks.settings import TrainingSettings
from helpers import Composer


def test_squared_loss_is_half_the_squared_distance_to_the_target() -> None:
    outputs = torch.tensor([[0.0, math.log(3)]], dtype=torch.float64)  # sigmoids 1/2 and 3/4
    assert squared(outputs, torch.tensor([1]), 0.0).item() == pytest.approx(0.5 * (0.25 + 1 / 16))
    assert squared(outputs, torch.tensor([0]), 0.0).item() == pytest.approx(0.5 * (0.25 + 9 / 16))


def test_gradient_of_the_squared_loss_is_the_textbooks_delta() -> None:
    """(o - t) o (1 - o)."""
    outputs = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 1, 2, 3, 0])
    squared(outputs, labels, 0.0).sum().backward()
    o, t = torch.sigmoid(outputs.detach()), torch.eye(4, dtype=torch.float64)[labels]
    torch.testing.assert_close(outputs.grad, (o - t) * o * (1 - o))


def test_cross_entropy_of_even_outputs_is_the_logarithm_of_the_number_of_classes() -> None:
    assert cross_entropy(torch.zeros(1, 7), torch.tensor([3]), 0.0).item() == pytest.approx(math.log(7))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_one_value_for_each_image(name: str) -> None:
    assert LOSSES[name](torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2]), 0.0).shape == (6,)


def _separable(n: int, margin: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points of the plane, and a constant input, on two sides of a line that none is near to."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (40 * n, 2))
    side = points @ [0.6, -0.8] + 0.1
    kept = np.abs(side) > margin
    x = np.concatenate([points[kept][:n], np.ones((n, 1))], axis=1)
    return x, (side[kept][:n] > 0).astype(np.int64)


def test_gradient_descent_on_it_is_rosenblatts_rule_and_keeps_novikoffs_bound() -> None:
    """Mistakes <= (R / gamma)^2 with R the longest input and gamma the margin of a unit vector that separates."""
    x, labels = _separable(200, 0.1)
    unit = np.array([0.6, -0.8, 0.1]) / np.linalg.norm([0.6, -0.8, 0.1])
    signs = 2 * labels - 1
    gamma, radius = (signs * (x @ unit)).min(), np.linalg.norm(x, axis=1).max()
    assert gamma > 0

    rosenblatt, mistakes = np.zeros(3), 0
    weights = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    for _ in range(200):
        before = mistakes
        for image, label, sign in zip(x, labels, signs, strict=True):
            if sign * (rosenblatt @ image) <= 0:  # the rule, by hand, for the unit of class 1
                rosenblatt += sign * image
                mistakes += 1
            loss = perceptron((weights @ torch.tensor(image))[None], torch.tensor([label]), 0.0)
            (gradient,) = torch.autograd.grad(loss, weights)
            with torch.no_grad():
                weights -= gradient
        if mistakes == before:
            break
    assert mistakes == before, "it has converged"
    assert 0 < mistakes <= (radius / gamma) ** 2
    np.testing.assert_allclose(weights.detach().numpy()[1], rosenblatt)
    np.testing.assert_allclose(weights.detach().numpy()[0], -rosenblatt)


def test_the_ladders_perceptron_separates_what_can_be_separated(compose: Composer, tmp_path) -> None:
    """Through Lightning: experiment=ladder_1_perceptron on two classes that a line parts makes no training error."""
    x, labels = _separable(300, 0.1)
    np.savez(
        tmp_path / "two.npz", images=(255 * (x + 1) / 2).astype(np.uint8), labels=labels,
        test_images=(255 * (x[:50] + 1) / 2).astype(np.uint8), test_labels=labels[:50],
    )  # fmt: skip
    result = finetune(
        compose(
            "finetune",
            [
                "experiment=ladder_1_perceptron",
                "data=npz",
                f"data.path={tmp_path}/two.npz",
                "training.epochs=300",
                "training.weights=last",
            ],
        )
    )
    assert result["sizes"] == [3, 2]
    assert result["metrics"]["train/error"] == 0.0
    assert "train/nll" not in result["metrics"]


def test_a_perceptron_takes_no_smoothing() -> None:
    with pytest.raises(SettingError, match=r"label_smoothing=0\.1: a perceptron's target is a sign"):
        TrainingSettings(epochs=1, loss="perceptron", label_smoothing=0.1)
    with pytest.raises(SettingError, match=r"training\.loss='hinge'"):
        TrainingSettings(epochs=1, loss="hinge")
