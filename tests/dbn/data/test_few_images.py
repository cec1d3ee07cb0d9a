"""A fast run sees a thousand images of each part at most, and other runs see all."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dbn import RBM
from dbn.data import Source, load_data
from dbn.data.few_images import MOST, few_images
from finetune.runs.network_run import finetune, finetuning_directory
from finetune.tasks.predictions import read_predictions
from helpers import Composer

N = 4000


def sorted_by_class(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Images whose two pixels say their number, and their classes in order."""
    numbers = np.arange(n)
    return np.stack([numbers % 256, numbers // 256], 1).reshape(n, 1, 2).astype(np.uint8), numbers * 10 // n


def test_few_images_are_some_of_all_classes_with_their_numbers_and_names() -> None:
    images, labels = sorted_by_class(N)
    source = Source(
        "numbers", torch.from_numpy(images)[:, None], torch.from_numpy(labels), maximum=255,
        names=tuple(f"{k}.png" for k in range(N)),
    )  # fmt: skip
    data = load_data(source, validation=1500, test=1200)
    few = few_images(data)
    assert [len(part) for part in (few.train, few.validation, few.test)] == [MOST, MOST, MOST]
    assert few_images(few).test.pixels.equal(few.test.pixels)
    for part in (few.train, few.validation, few.test):
        assert len(part.labels.unique()) == 10
        assert len(part.pixels.unique(dim=0)) == MOST, "no image twice"
    pixels = few.test.pixels.long()
    assert torch.equal(few.test_index, pixels[:, 0] + 256 * pixels[:, 1])
    assert list(few.test_names) == [f"{k}.png" for k in few.test_index.tolist()]


@pytest.mark.parametrize(("trainer", "few"), [("trainer.fast_dev_run=true", True), ("trainer.fast_dev_run=2", False)])
def test_what_a_fast_run_computes(
    trainer: str, few: bool, compose: Composer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images that lower layers pass upwards, and that are predicted at the end. Several blocks need all images."""
    images, labels = sorted_by_class(2 * N)
    np.savez(tmp_path / "sorted.npz", images=images, labels=labels)
    passed, up = [], RBM.up
    monkeypatch.setattr(RBM, "up", lambda self, x: [passed.append(len(x)), up(self, x)][1])
    config = compose(
        "finetune",
        ["data=npz", f"data.path={tmp_path / 'sorted.npz'}", "data.test=0.5", "stack.layers=[4,3]",
         "stack.every_layer.epochs=1", "training.epochs=1", "training.weights=last", f"+{trainer}"],
    )  # fmt: skip
    assert finetune(config)["pretrain_seconds"] > 0
    predictions = read_predictions(finetuning_directory(config))
    assert predictions is not None
    assert len(predictions.label) == (MOST if few else N)
    assert (np.bincount(predictions.label) > 0).all()
    assert (sum(passed) < N / 2) == few


def test_a_baseline_of_few_images_is_not_taken_for_that_of_all(compose: Composer) -> None:
    """Runs of a study share baselines."""
    options = [
        "task=autoencoder", "task.baselines=[pca]", "stack.layers=[{n_hidden:4,hidden:gaussian,learning_rate:0.001}]",
        "stack.every_layer.epochs=1", "training.epochs=1", "training.weights=last",
        "training.learning_rate=0.001",
    ]  # fmt: skip
    finetune(compose("finetune", [*options, "+trainer.fast_dev_run=true"]))
    finetune(compose("finetune", [*options, "name=whole"]))
    assert len(list(Path("runs/default/baseline").glob("*/result.json"))) == 2
