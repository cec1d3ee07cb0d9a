"""Train on digits, then use it: predictions, features in scikit-learn, and digits whose lower half is filled in."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from commands_of_use import FEATURES, PREDICT, SAMPLE, call_all
from dbn.data import digits

FRESH = """
import numpy as np
from finetune import Network
images = np.load("new.npz")["images"]
network = Network.load("runs/story/finetune/dbn_seed0")
np.save("probabilities.npy", network.predict_proba(images))
"""
TRAIN = ["study=story", "arm=dbn", "stack.layers=[100,60]", "training.epochs=20", "progress=false"]
"""Settings of the run; it trains on the first 1500 digits."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was trained on 1500 digits; the other 297 are new to it."""
    path = tmp_path_factory.mktemp("story")
    source = digits()
    assert source.train_labels is not None
    images, labels = source.train_images[:, 0].numpy(), source.train_labels.numpy()
    np.savez(path / "mine.npz", images=images[:1500], labels=labels[:1500])
    np.savez(path / "new.npz", images=images[1500:], labels=labels[1500:])
    trained = ["finetune.train", "data=npz", "data.path=mine.npz", "data.maximum=16", *TRAIN]
    (answer,) = call_all(path, [trained])
    assert answer.status == 0, answer.error
    return path


def test_new_images_are_recognised_in_a_fresh_process(folder: Path) -> None:
    """By the command, and by three lines of Python, with the same bits."""
    (answer,) = call_all(folder, [[PREDICT, "run=runs/story/finetune/dbn_seed0", "data=npz", "data.path=new.npz"]])
    assert answer.status == 0, answer.error
    subprocess.run([sys.executable, "-c", FRESH], cwd=folder, check=True)
    rows = [line.split(",") for line in (folder / "predictions.csv").read_text().splitlines()]
    assert rows[0][:4] == ["index", "label", "predicted", "probability_0"]
    probabilities = np.array([row[3:] for row in rows[1:]], np.float32)
    assert np.array_equal(probabilities, np.load(folder / "probabilities.npy"))
    wrong = np.mean([row[1] != row[2] for row in rows[1:]])
    assert f"error {100 * wrong:.2f} %" in answer.out
    assert wrong < 0.12


def test_features_serve_other_classifiers(folder: Path) -> None:
    """Those of the stack, which has seen no label."""
    (stack,) = (folder / "runs/story/pretrain").glob("*_seed0")
    common = [FEATURES, f"stack={stack}", "data=npz"]
    answers = call_all(
        folder, [[*common, f"data.path={name}.npz", f"output={name}_features.npz"] for name in ("mine", "new")]
    )
    assert [answer.status for answer in answers] == [0, 0], answers
    with np.load(folder / "mine_features.npz") as mine, np.load(folder / "new_features.npz") as new:
        classifier = LogisticRegression(max_iter=2000).fit(mine["features"], mine["labels"])
        assert classifier.score(new["features"], new["labels"]) > 0.85
        assert new["features"].shape == (297, 60)


def test_the_lower_half_is_filled_in_better_than_by_the_mean(folder: Path) -> None:
    (stack,) = (folder / "runs/story/pretrain").glob("*_seed0")
    fill = [SAMPLE, f"stack={stack}", "task=fill", "mask=[4,0,4,8]", "n=297", "steps=200", "data=npz"]
    answers = call_all(
        folder,
        [
            [*fill, "data.path=new.npz", "output=filled.npz"],
            [*fill, "data.path=new.npz", "output=filled.png"],
        ],
    )
    assert [answer.status for answer in answers] == [0, 0], answers
    assert (folder / "filled.png").stat().st_size > 1000
    mine, new = (np.load(folder / f"{name}.npz")["images"].astype(float) for name in ("mine", "new"))
    with np.load(folder / "filled.npz") as found:
        truth, lower = new, (slice(None), slice(4, 8))
        error = ((found["expected"][:, 0] - truth)[lower] ** 2).mean()
        by_mean = ((mine.mean(0) - truth)[lower] ** 2).mean()
    assert error < by_mean
