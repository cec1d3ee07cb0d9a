"""Fine-tuning: steps, phases, metrics, and the choice of weights."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dbn.data import DataSet, Images
from dbn.data.block_loader import BlockLoader
from dbn.data.blocks import Block, Minibatch
from dbn.errors import SettingError
from finetune.networks.network import Network
from finetune.runs.early_stopping import PatientStopping
from finetune.runs.network_run import finetune, finetuning_directory
from finetune.tasks import Autoencoder, Classifier
from finetune.tasks.settings import TrainingSettings
from helpers import Composer


def sgd(groups: Any, lr: float) -> torch.optim.Optimizer:
    """Plain SGD with momentum and decay."""
    return torch.optim.SGD(groups, lr=lr, momentum=0.9, weight_decay=0.01)


def make_classifier(**settings: Any) -> Classifier:
    """5-4-3 with reproducible weights."""
    torch.manual_seed(1)
    return Classifier(
        Network.dense([5, 4, 3]), TrainingSettings(epochs=3, **settings), optimizer=sgd, steps_per_epoch=2
    )


def block_of(features: torch.Tensor, labels: torch.Tensor | None = None) -> Block:
    """All images as one minibatch."""
    return Block(0, features, labels, (len(features),), (len(features),))


def test_a_step_is_backpropagation_of_the_mean_loss_with_decay_on_weights_only() -> None:
    module = make_classifier(label_smoothing=0.1)
    W1, b1, W2, b2 = (p.detach().clone().requires_grad_() for p in module.network.parameters())
    x, y = torch.rand(7, 5), torch.tensor([0, 1, 2, 0, 1, 2, 0])
    target = torch.full((7, 3), 0.1 / 3)
    target[torch.arange(7), y] += 0.9
    loss = -(target * torch.log_softmax(torch.sigmoid(x @ W1.T + b1) @ W2.T + b2, 1)).sum() / 7
    loss.backward()
    module.minibatch_step(Minibatch(x, y, 7), module.configure_optimizers())
    for parameter, old in zip(module.network.parameters(), (W1, b1, W2, b2), strict=True):
        decay = 0.01 * old if old.ndim == 2 else 0.0
        assert old.grad is not None
        torch.testing.assert_close(parameter.detach(), (old - 0.1 * (old.grad + decay)).detach(), rtol=0, atol=1e-6)


def test_in_the_first_phase_only_the_output_layer_learns() -> None:
    module = make_classifier(head_epochs=2)
    optimizer = module.configure_optimizers()
    x, y = torch.rand(6, 5), torch.tensor([0, 1, 2, 0, 1, 2])
    for epoch, hidden_learns in ((0, False), (1, False), (2, True)):
        before = [p.detach().clone() for p in module.network.parameters()]
        for layer in module.network.layers[:-1]:
            layer.requires_grad_(epoch >= module.settings.head_epochs)
        module.minibatch_step(Minibatch(x, y, 6), optimizer)
        changed = [not torch.equal(p, b) for p, b in zip(module.network.parameters(), before, strict=True)]
        assert changed == [hidden_learns, hidden_learns, True, True]


def test_head_epochs_through_a_whole_fit(compose: Composer) -> None:
    """With as many head epochs as epochs, the hidden layers end as they started."""
    small = ["stack.layers=[12]", "stack.every_layer.epochs=2", "training.epochs=3", "training.weights=last", "arm=dbn"]
    config = compose("finetune", [*small, "training.head_epochs=3"])
    finetune(config)
    pictures = np.load(finetuning_directory(config) / "pictures.npz")
    assert (pictures["filters"] == pictures["filters_start"]).all()
    other = compose("finetune", [*small, "training.head_epochs=2", "name=other"])
    finetune(other)
    pictures = np.load(finetuning_directory(other) / "pictures.npz")
    assert not (pictures["filters"] == pictures["filters_start"]).all()


def test_classifier_metrics_by_their_definitions() -> None:
    module = make_classifier()
    metrics = module.metrics()
    logits = torch.log(torch.tensor([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.1, 0.45, 0.45 - 1e-4], [0.9, 0.05, 0.05]]))
    labels = torch.tensor([0, 0, 1, 0])
    metrics.update(logits[:3], block_of(torch.zeros(3, 5), labels[:3]))
    metrics.update(logits[3:], block_of(torch.zeros(1, 5), labels[3:]))
    found = metrics.compute()
    assert found["error"] == 0.25
    assert found["nll"] == pytest.approx(-math.log(0.8 * 0.3 * 0.45 * 0.9) / 4, abs=1e-3)
    # four bins of one image each: |1 - .8|, |0 - .6|, |1 - .45|, |1 - .9|, mean
    assert found["calibration_error"] == pytest.approx((0.2 + 0.6 + 0.55 + 0.1) / 4, abs=1e-3)


@pytest.mark.parametrize("real", [False, True])
def test_autoencoder_loss_and_metrics_by_their_definitions(real: bool) -> None:
    network = Network.dense([5, 2, 5], code=1)
    module = Autoencoder(network, TrainingSettings(epochs=1), optimizer=sgd, steps_per_epoch=1, real=real)
    x = torch.rand(6, 5)
    outputs = network(x)
    probabilities = torch.sigmoid(outputs)
    entropy = -(x * probabilities.log() + (1 - x) * (1 - probabilities).log()).sum()
    squared = ((outputs if real else probabilities) - x).square().sum()
    torch.testing.assert_close(module.losses(outputs, Minibatch(x, None, 6)).sum(), 0.5 * squared if real else entropy)
    metrics = module.metrics()
    metrics.update(outputs, block_of(x))
    found = metrics.compute()
    assert found["squared_error"] == pytest.approx(squared.item() / 6, rel=1e-5)
    assert real == ("cross_entropy" not in found)
    if not real:
        assert found["cross_entropy"] == pytest.approx(entropy.item() / 6, rel=1e-5)


def test_evaluation_sees_every_image_once_without_dropout() -> None:
    network = Network.dense([5, 4, 3], dropout_input=0.5, dropout_hidden=0.5)
    module = Classifier(network, TrainingSettings(epochs=1), optimizer=sgd, steps_per_epoch=1)
    x, y = torch.rand(2300, 5), torch.randint(3, (2300,))
    found = module.evaluate(Images.from_features(x, y))
    network.eval()
    with torch.no_grad():
        logits = network(x)
    assert found["error"] == pytest.approx((logits.argmax(1) != y).double().mean().item(), abs=1e-12)
    assert found["nll"] == pytest.approx(F.cross_entropy(logits, y).item(), abs=1e-5)


SMALL = ["stack.layers=[30]", "arm=random_relu", "training.epochs=12"]


def errors_by_epoch(directory: Path) -> list[float]:
    """Validation error of every epoch."""
    lines = [line.split(",") for line in (directory / "metrics.csv").read_text().splitlines()]
    column = lines[0].index("validation/error")
    return [float(line[column]) for line in lines[1:]]


def test_the_best_epoch_s_weights_are_kept_and_tested(compose: Composer) -> None:
    config = compose("finetune", [*SMALL, "training.learning_rate=0.3", "schedule=constant"])
    result = finetune(config)
    errors = errors_by_epoch(finetuning_directory(config))
    assert result["metrics"]["validation/error"] == pytest.approx(min(errors), abs=1e-6)
    assert result["best_epoch"] == errors.index(min(errors))
    last = finetune(
        compose(
            "finetune", [*SMALL, "training.learning_rate=0.3", "schedule=constant", "training.weights=last", "name=l"]
        )
    )
    assert last["metrics"]["validation/error"] == pytest.approx(errors[-1], abs=1e-6)


def test_patience_stops_early_and_stays_stopped(compose: Composer) -> None:
    config = compose("finetune", ["stack.layers=[30]", "arm=random_relu", "training.epochs=200", "training.patience=3"])
    result = finetune(config)
    errors = errors_by_epoch(finetuning_directory(config))
    assert result["epochs"] == len(errors) < 200
    assert errors.index(min(errors)) == len(errors) - 4
    directory = finetuning_directory(config)
    before = json.loads((directory / "result.json").read_text())
    (directory / "result.json").unlink()  # as if killed after the fit
    again = finetune(config)
    assert (again["epochs"], again["metrics"]) == (before["epochs"], before["metrics"])


def test_stopping_that_has_patience_left_goes_on() -> None:
    class Trainer:
        should_stop = False

    callback = PatientStopping("validation/error", patience=3)
    callback.wait_count = 2
    trainer = Trainer()
    callback.on_train_start(trainer, None)
    assert not trainer.should_stop


@pytest.mark.parametrize("key", ["training.weights=best", "training.patience=3"])
def test_choices_that_need_validation_images_are_refused_without(key: str, compose: Composer) -> None:
    overrides = ["data.validation=0", "training.weights=last", key]
    with pytest.raises(SettingError, match=key.split("=")[0]):
        finetune(compose("finetune", [*SMALL, *overrides]))


def test_arms_of_one_seed_see_the_same_labels_and_order(compose: Composer, digits_data: DataSet) -> None:
    """Same seed: same subset of labels; another seed: another."""
    from finetune.runs.network_run import labelled

    def subset(*overrides: str) -> torch.Tensor:
        return labelled(digits_data, compose("finetune", ["data.n_labelled=50", *overrides])).train.pixels

    assert torch.equal(subset("arm=dbn"), subset("arm=random_relu"))
    assert not torch.equal(subset("seed=0"), subset("seed=1"))
    loaders = [BlockLoader(digits_data.train, batch_size=10, seed=0) for _ in range(2)]
    assert all(torch.equal(one.features, other.features) for one, other in zip(*loaders, strict=True))


def test_an_autoencoder_takes_no_labels_and_no_smoothing(compose: Composer) -> None:
    layers = ["task=autoencoder", "stack.layers=[20,{n_hidden:4,hidden:gaussian}]", "arm=random_relu"]
    with pytest.raises(SettingError, match="n_labelled=100"):
        finetune(compose("finetune", [*layers, "data.n_labelled=100"]))
    with pytest.raises(SettingError, match="label_smoothing"):
        finetune(compose("finetune", [*layers, "training.label_smoothing=0.1"]))


def test_an_autoencoder_starts_at_the_stack_s_reconstruction_and_has_its_baselines(compose: Composer) -> None:
    small = ["task=autoencoder", "stack.layers=[20,{n_hidden:4,hidden:gaussian,learning_rate:0.001}]", "arm=dbn"]
    config = compose(
        "finetune",
        [*small, "stack.every_layer.epochs=3", "training.epochs=1", "optimizer=adam", "training.learning_rate=1e-12"],
    )
    result = finetune(config)
    from dbn import DBN
    from dbn.data.from_config import data_of

    data = data_of(config)
    (file,) = Path(config["paths"]["runs"]).glob("default/pretrain/digits_20_4_gaussian_*_seed0/dbn.safetensors")
    stack = DBN.load(file)
    x = data.test.features()
    expected = (stack.reconstruct(x) - x).square().sum(1).mean().item()
    assert result["metrics"]["test/squared_error"] == pytest.approx(expected, rel=1e-4)
    baselines = Path(config["paths"]["runs"]) / "default/baseline"
    errors = {path.name: json.loads((path / "result.json").read_text())["metrics"] for path in baselines.iterdir()}
    assert set(errors) == {"pca_4_seed0", "logistic_pca_4_seed0"}
    assert errors["pca_4_seed0"]["test/squared_error"] < (x - x.mean(0)).square().sum(1).mean().item()


def test_real_valued_data_goes_all_the_way(compose: Composer) -> None:
    """Standardised digits, Gaussian visible units, classifier."""
    settings = [
        "data.standardise=true",
        "stack.visible=gaussian",
        "stack.every_layer.learning_rate=0.001",
        "stack.layers=[40]",
    ]
    config = compose("finetune", [*settings, "stack.every_layer.epochs=20", "training.epochs=20", "arm=dbn"])
    assert finetune(config)["metrics"]["validation/error"] < 0.1
