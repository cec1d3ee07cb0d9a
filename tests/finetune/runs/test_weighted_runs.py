"""Runs on images with weights: pretraining and fine-tuning learn by them, metrics count every image once."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dbn.models.dbn import DBN
from finetune.runs.network_run import finetune
from helpers import Composer

RUN = [
    "data=npz", "data.path=mine.npz", "data.validation=0", "training.weights=last", "stack.layers=[12]",
    "stack.every_layer.epochs=2", "stack.every_layer.batch_size=20", "stack.every_layer.bias_from_data=true",
    "training.epochs=30", "training.batch_size=20", "arm=dbn",
]  # fmt: skip


def write_images() -> None:
    """Left or right half bright. Every other one has the other's label, a bright first pixel, and weight 0."""
    n, generator = 120, np.random.default_rng(0)
    right = generator.integers(0, 2, n)
    images = generator.integers(0, 60, (n, 4, 4)).astype(np.uint8)
    for k in range(n):
        images[k, :, 2 * right[k] : 2 * right[k] + 2] += 190
    images[:, 0, 0] = 0
    wrong = np.arange(n) % 2 == 1
    test = images[~wrong][:40].copy()
    images[wrong, 0, 0] = 255
    labels = np.where(wrong, 1 - right, right)
    weights = np.where(wrong, 0.0, 5.0)
    np.savez("mine.npz", images=images, labels=labels, w=weights, test_images=test, test_labels=right[~wrong][:40])


@pytest.mark.parametrize("n_labelled", ["null", "60"])
def test_images_of_weight_zero_teach_nothing(n_labelled: str, compose: Composer) -> None:
    write_images()
    config = compose("finetune", [*RUN, "data.weights=w", f"data.n_labelled={n_labelled}"])
    metrics = finetune(config)["metrics"]
    assert metrics["test/error"] < 0.05
    assert metrics["train/error"] > 0.35, "all training images count, half of which have a wrong label"
    stack = DBN.load(next(Path("runs/default/pretrain").iterdir()))
    assert torch.sigmoid(stack[0].visible.bias)[0] < 0.05


def test_without_weights_they_do(compose: Composer) -> None:
    write_images()
    config = compose("finetune", RUN)
    assert finetune(config)["metrics"]["test/error"] > 0.05
    stack = DBN.load(next(Path("runs/default/pretrain").iterdir()))
    assert torch.sigmoid(stack[0].visible.bias)[0] > 0.3
