"""A network that is loaded from its file gives, bit by bit, what its run reported: for every arm and task."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from dbn.commands.configuration import config_directory
from dbn.data import DataSet
from dbn.data.from_config import data_of
from finetune import Network
from finetune.runs.network_run import finetune, finetune_seeds, finetuning_directory
from finetune.tasks.predictions import PROBABILITIES_FILE, read_predictions
from helpers import Composer

ARMS = sorted(path.stem for path in (config_directory() / "arm").glob("*.yaml"))
SHORT = ["stack.layers=[12,8]", "stack.every_layer.epochs=1", "training.epochs=1", "data.n_labelled=100"]

CONVOLUTIONAL = "stack.layers=[{kind:convolution,maps:6,kernel:3,padding:1,pool:2},8]"


def check(result: dict[str, Any]) -> None:
    """Compare the loaded network with the run's files, on the run's own test images."""
    config = result["config"]
    directory, data = finetuning_directory(config), data_of(config)
    network = Network.load(directory)
    assert not network.training
    predicted = network.predict(data.test).numpy()
    assert float((predicted != labels(data)).mean()) == result["metrics"]["test/error"]
    found = read_predictions(directory)
    assert found is not None
    order = np.arange(len(data.test)) if data.test_index is None else data.test_index.argsort().numpy()
    assert np.array_equal(found.predicted, predicted[order])
    assert np.array_equal(found.label, labels(data)[order])
    kept = directory / PROBABILITIES_FILE
    if network.known_meaning.outputs == "logits":
        assert np.array_equal(load_file(kept)["probabilities"], network.predict_proba(data.test).numpy()[order])
    else:
        assert not kept.exists()


def labels(data: DataSet) -> Any:
    assert data.test.labels is not None
    return data.test.labels.numpy()


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm(arm: str, compose: Composer) -> None:
    layers = [CONVOLUTIONAL] if arm.startswith("conv_") else []
    result = finetune(compose("finetune", [*SHORT, f"arm={arm}", *layers]))
    assert result["arm"] == arm
    check(result)


@pytest.mark.parametrize(
    "options",
    [
        ["precision=bf16", "network.activation=relu", "start=random_relu"],
        ["data.standardise=true", "start=random_relu"],
        ["training.loss=squared"],
        ["experiment=ladder_1_perceptron"],
        ["training.weights=last", "training.max_norm=1.0", "dropout=hidden"],
    ],
    ids=lambda options: options[0],
)
def test_other_settings(options: list[str], compose: Composer) -> None:
    """Those that change what outputs mean, or how training computes them."""
    few = [] if "experiment=ladder_1_perceptron" in options else SHORT
    check(finetune(compose("finetune", [*few, "training.epochs=1", *options])))


def test_members_of_a_group(compose: Composer) -> None:
    results = finetune_seeds(compose("finetune", [*SHORT, "arm=random_relu_batchnorm_dropout", "n_parallel_seeds=3"]))
    assert len({result["metrics"]["test/nll"] for result in results}) == 3
    for result in results:
        check(result)


@pytest.mark.parametrize("real", [False, True])
def test_an_autoencoder(real: bool, compose: Composer) -> None:
    code = "stack.layers=[12,{n_hidden:5,hidden:gaussian,learning_rate:0.001}]"
    options = ["data.standardise=true", "stack.visible=gaussian", "stack.every_layer.learning_rate=0.01"]
    options += ["task.baselines=[pca]"]
    config = compose("finetune", ["task=autoencoder", code, *SHORT[1:3], *(options if real else ())])
    result, data = finetune(config), data_of(config)
    network = Network.load(finetuning_directory(config))
    error = network.squared_error(data.test).double().mean()
    assert float(error) == pytest.approx(result["metrics"]["test/squared_error"], rel=1e-6)  # a sum of float32


def test_regression(compose: Composer) -> None:
    config = compose("finetune", ["data=diabetes", "task=regression", "stack=table", "stack.layers=[9]", *SHORT[1:3]])
    result, data = finetune(config), data_of(config)
    predicted = Network.load(finetuning_directory(config)).predict(data.test)
    assert data.test.labels is not None
    errors = (predicted.double() - data.test.labels.double()).square().mean().sqrt()
    assert float(errors) == pytest.approx(result["metrics"]["test/rmse"], rel=1e-6)


def test_a_file_that_was_moved_needs_nothing_beside_it(tmp_path: Path, compose: Composer) -> None:
    config = compose("finetune", [*SHORT, "arm=random_relu"])
    finetune(config)
    data, moved = data_of(config), tmp_path / "elsewhere.safetensors"
    before = Network.load(finetuning_directory(config)).predict_proba(data.test)
    (finetuning_directory(config) / "network.safetensors").rename(moved)
    assert np.array_equal(Network.load(moved).predict_proba(data.test), before)
