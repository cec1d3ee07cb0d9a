"""Every number that a run leaves behind, computed again in numpy from its weights and its images."""

import csv
import json
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file
from scipy.special import expit, logsumexp

from dbn.data import DataSet
from dbn.data.from_config import data_of
from dbn.fitting.stopwatch import Stopwatch
from dbn.pretraining.stack_run import pretrain, pretraining_directory
from finetune.runs.network_run import finetune, finetune_seeds, finetuning_directory, labelled
from helpers import Composer

Floats = NDArray[np.float64]
STILL = ["optimizer=sgd", "training.learning_rate=1e-30", "schedule=constant"]
"""Training that does not move a weight."""


def outputs(directory: Path, features: Floats, keep: tuple[float, float], code: int | None = None) -> Floats:
    """What ``network.safetensors`` makes of images, in float64: sigmoid layers, a linear code, linear outputs.

    Args:
        directory: of the run.
        features: ``(n, n_features)``.
        keep: probabilities of keeping an input and a hidden unit, which multiply them in use.
        code: number of the layer that is the code.
    """
    weights = {name: values.astype(np.float64) for name, values in load_file(directory / "network.safetensors").items()}
    x, n_layers = features, sum(name.endswith(".weight") for name in weights)
    for k in range(n_layers):
        factor = keep[0] if k == 0 else 1.0 if k == code else keep[1]
        x = (factor * x) @ weights[f"blocks.{k}.layer.weight"].T + weights[f"blocks.{k}.layer.bias"]
        x = x if k + 1 in (n_layers, code) else expit(x)
    return x


def rows_of(directory: Path) -> list[dict[str, float]]:
    """``metrics.csv``."""
    with (directory / "metrics.csv").open() as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def splits_of(data: DataSet) -> dict[str, tuple[Floats, NDArray[np.int64]]]:
    """Images and labels in float64."""
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    if data.spare is not None:
        splits["spare"] = data.spare
    return {
        name: (images.features().double().numpy(), np.asarray(images.labels, np.int64))
        for name, images in splits.items()
    }


def classifier_numbers(logits: Floats, labels: NDArray[np.int64]) -> dict[str, float]:
    """Error, negative log-likelihood in nats, and expected calibration error over bins (m - 1, m] / 15."""
    log_p = logits - logsumexp(logits, axis=1, keepdims=True)
    confidence, right = np.exp(log_p.max(1)), log_p.argmax(1) == labels
    bins = np.ceil(15 * confidence)
    gaps = [abs(np.sum(right[bins == m] - confidence[bins == m])) for m in np.unique(bins)]
    of_classes = [1 - right[labels == label].mean() for label in np.unique(labels)]
    return {
        "error": 1 - right.mean(),
        "balanced_error": float(np.mean(of_classes)),
        "nll": -log_p[np.arange(len(labels)), labels].mean(),
        "calibration_error": float(sum(gaps)) / len(labels),
    }


def test_a_classifier_s_result(compose: Composer) -> None:
    """With dropout, 137 labels, minibatches of 20 and validation in blocks; the best epoch is not the last."""
    overrides = ["arm=dbn_dropout", "data.n_labelled=137", "stack.layers=[30,20]", "stack.every_layer.epochs=2"]
    config = compose("finetune", [*overrides, "training.epochs=25", "training.batch_size=20"])
    result = finetune(config)
    directory, dropout = finetuning_directory(config), config["network"]
    keep = 1 - dropout["dropout_input"], 1 - dropout["dropout_hidden"]
    assert keep[1] < 1
    expected = {}
    for name, (features, labels) in splits_of(labelled(data_of(config), config)).items():
        own = classifier_numbers(outputs(directory, features, keep), labels)
        expected |= {f"{name}/{quantity}": value for quantity, value in own.items()}
    assert result["metrics"].keys() == expected.keys()
    for name, value in expected.items():
        tolerance = 1e-12 if name.endswith("/error") else 1e-5  # the network computes in float32
        assert result["metrics"][name] == pytest.approx(value, abs=tolerance), name
    assert result["n_parameters"] == 64 * 30 + 30 + 30 * 20 + 20 + 20 * 10 + 10
    rows = rows_of(directory)
    assert (result["epochs"], [row["epoch"] for row in rows]) == (25, list(range(25)))
    best = min(rows, key=lambda row: (row["validation/error"], row["epoch"]))
    assert result["best_epoch"] == best["epoch"]
    for quantity in ("error", "balanced_error", "nll", "calibration_error"):
        found = result["metrics"][f"validation/{quantity}"]
        assert best[f"validation/{quantity}"] == pytest.approx(found, abs=1e-5), quantity


def test_an_autoencoder_s_result(compose: Composer) -> None:
    layers = ["task=autoencoder", "stack.layers=[20,{n_hidden:4,hidden:gaussian}]", "arm=random_sigmoid"]
    config = compose("finetune", [*layers, "training.epochs=3", "optimizer=adam", "training.learning_rate=0.01"])
    result = finetune(config)
    for name, (x, _) in splits_of(data_of(config)).items():
        logits = outputs(finetuning_directory(config), x, (1.0, 1.0), code=2)
        squared = np.square(expit(logits) - x).sum(1).mean()
        entropy = (np.logaddexp(0, logits) - x * logits).sum(1).mean()
        assert result["metrics"][f"{name}/squared_error"] == pytest.approx(squared, rel=1e-5), name
        assert result["metrics"][f"{name}/cross_entropy"] == pytest.approx(entropy, rel=1e-5), name
    baseline = finetuning_directory(config).parent.parent / "baseline" / "pca_4_seed0" / "result.json"
    (train, _), (test, _) = (splits_of(data_of(config))[name] for name in ("train", "test"))
    U = np.linalg.svd(train - train.mean(0), full_matrices=False)[2][:4].T
    centred = test - train.mean(0)
    expected = np.square(centred - centred @ U @ U.T).sum(1).mean()
    found = json.loads(baseline.read_text())["metrics"]["test/squared_error"]
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("n_seeds", [1, 2])
@pytest.mark.parametrize(("batch", "task"), [(7, "classifier"), (1000, "classifier"), (7, "autoencoder")])
def test_training_loss_is_the_mean_over_images(batch: int, task: str, n_seeds: int, compose: Composer) -> None:
    """Weights that stand still: the loss of an epoch is that of all its images, however the last minibatch is cut."""
    shape = [
        f"task={task}",
        "stack.layers=[12]" if task == "classifier" else "stack.layers=[{n_hidden:4,hidden:gaussian}]",
    ]
    options = ["arm=random_sigmoid", "training.epochs=2", f"training.batch_size={batch}", f"n_parallel_seeds={n_seeds}"]
    config = compose("finetune", [*shape, *options, *STILL, "task.baselines=[]"])
    for result in finetune_seeds(config):
        quantity = "nll" if task == "classifier" else "cross_entropy"
        rows = rows_of(finetuning_directory(result["config"]))
        for row in rows:
            assert row["train/loss"] == pytest.approx(result["metrics"][f"train/{quantity}"], rel=1e-5)
            for name, value in row.items():
                if name.startswith("validation/"):
                    assert value == pytest.approx(result["metrics"][name], abs=1e-6, rel=1e-5), name
        assert len(rows) == 2
        assert result["best_epoch"] == 0, "the first of equal epochs"


def test_a_stack_s_result(compose: Composer) -> None:
    """All images are watched where there are fewer than a thousand."""
    config = compose("pretrain", ["data.validation=0.5", "stack.layers=[30,20]", "stack.every_layer.epochs=3"])
    result = pretrain(config)
    directory, data = pretraining_directory(config), data_of(config)
    assert len(data.train) <= 1000
    assert len(data.validation) <= 1000
    train, validation = (images.features().double().numpy() for images in (data.train, data.validation))
    expected = {}
    for layer in (1, 2):
        stored = load_file(directory / "checkpoints" / f"layer{layer}.safetensors")
        W = next(v for k, v in stored.items() if k.endswith("weight")).astype(np.float64)
        b, c = (
            next(v for k, v in stored.items() if k.endswith(f"{side}.bias")).astype(np.float64)
            for side in ("visible", "hidden")
        )
        h = expit(train @ W + c)
        free_energies = [(-x @ b - np.logaddexp(0, x @ W + c).sum(1)).mean() for x in (train, validation)]
        expected |= {
            f"layer{layer}/reconstruction_error": np.square(expit(h @ W.T + b) - train).sum(1).mean(),
            f"layer{layer}/free_energy_gap": free_energies[1] - free_energies[0],
            f"layer{layer}/weight_norm": np.sqrt(np.square(W).sum()),
            f"layer{layer}/fraction_inactive": (h.mean(0) < 0.01).mean(),
            f"layer{layer}/fraction_saturated": (h.mean(0) > 0.99).mean(),
        }
        train, validation = h, expit(validation @ W + c)
    assert result["metrics"].keys() == expected.keys()
    for name, value in expected.items():
        assert result["metrics"][name] == pytest.approx(value, rel=1e-4, abs=2e-4), name
    assert result["n_parameters"] == 64 * 30 + 64 + 30 + 30 * 20 + 30 + 20
    assert result["epochs"] == 6
    rows = rows_of(directory)
    assert len(rows) == 6
    assert rows[2]["layer1/weight_norm"] == result["metrics"]["layer1/weight_norm"]


def test_seconds_of_seeds_that_trained_together_are_their_shares(compose: Composer) -> None:
    """Three shares add up to no more than what the call took, and to most of it where training is most of it."""
    small = ["arm=random_relu", "stack.layers=[50]", "training.epochs=30", "training.batch_size=20"]
    finetune_seeds(compose("finetune", [*small, "training.epochs=1", "study=warm"]))
    start = time.perf_counter()
    results = finetune_seeds(compose("finetune", [*small, "n_parallel_seeds=3"]))
    took = time.perf_counter() - start
    assert len({result["seconds"] for result in results}) == 1
    assert 0.3 * took < sum(result["seconds"] for result in results) <= took


def test_seconds_count_on_from_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 s in the checkpoint, 7 s since."""
    moments = iter([50.0, 57.0, 57.0, 57.0])
    monkeypatch.setattr("dbn.fitting.stopwatch.time.perf_counter", lambda: next(moments))
    watch = Stopwatch()
    watch.load_state_dict({"seconds": 100.0})
    assert watch.seconds == 107.0
    assert watch.state_dict()["seconds"] == 107.0


def test_the_reference_itself_by_hand() -> None:
    """Confidences 3/4, right, and 9/10, wrong: bins 12 and 14 of fifteen."""
    logits = np.array([[0.0, np.log(3.0)], [np.log(9.0), 0.0]])
    found = classifier_numbers(logits, np.array([1, 1]))
    assert found["error"] == 0.5
    assert found["nll"] == pytest.approx(-np.log(0.75 * 0.1) / 2)
    assert found["calibration_error"] == pytest.approx((0.25 + 0.9) / 2)
