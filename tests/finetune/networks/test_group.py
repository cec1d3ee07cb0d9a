"""Networks that train together learn what each would learn by itself."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dbn.data import block_loader
from dbn.data.augment import Augment
from dbn.data.blocks import Block, Minibatch
from dbn.errors import RunConflictError, SettingError
from dbn.random.streams import stream, streams
from finetune.networks.group import NetworkGroup
from finetune.networks.network import Network
from finetune.runs.network_run import finetune_seeds, finetuning_directory
from finetune.tasks import Autoencoder, Classifier, FineTuning
from finetune.tasks.settings import TrainingSettings
from helpers import Composer


class StoppedError(Exception):
    """Stands for a kill."""


def networks(sizes: list[int], **options: Any) -> list[Network]:
    """Three with weights of their own, in float64."""
    torch.manual_seed(5)
    return [Network.dense(sizes, **options).double() for _ in range(3)]


def sgd(groups: Any, lr: float) -> torch.optim.Optimizer:
    """SGD with momentum and decay."""
    return torch.optim.SGD(groups, lr=lr, momentum=0.9, weight_decay=0.01)


@pytest.mark.parametrize("normalisation", [None, "batch", "layer"])
@pytest.mark.parametrize("kind", [Classifier, Autoencoder])
def test_every_member_takes_the_steps_it_would_take_alone(kind: type[FineTuning], normalisation: str | None) -> None:
    """Ten steps with dropout, weight decay and a limit on norms, in float64."""
    sizes = [6, 5, 3] if kind is Classifier else [6, 5, 6]
    options = {"dropout_input": 0.1, "dropout_hidden": 0.4, "normalisation": normalisation}
    smoothing = 0.1 if kind is Classifier else 0.0
    settings = TrainingSettings(epochs=1, learning_rate=0.5, max_norm=1.0, label_smoothing=smoothing)
    x = torch.rand(3, 20, 6, dtype=torch.float64)
    y = torch.arange(60).reshape(3, 20) % 3

    def trained(network: Network, x: torch.Tensor, y: torch.Tensor, seeds: list[int]) -> torch.Tensor:
        module = kind(network, settings, optimizer=sgd, steps_per_epoch=1, seeds=seeds)
        optimizer = module.configure_optimizers()
        for number in range(10):
            network.use_noise_from(streams(seeds, "dropout", number))
            module.minibatch_step(Minibatch(x, y, 20), optimizer)
        return module.train_loss

    group = NetworkGroup(networks(sizes, **options))
    losses = trained(group, x, y, [0, 1, 2])
    group.copy_to_members()
    for seed, (network, member) in enumerate(zip(networks(sizes, **options), group.networks, strict=True)):
        start = network.layers[0].weight.detach().clone()
        (loss,) = trained(network, x[seed], y[seed], [seed])
        assert float(losses[seed]) == pytest.approx(float(loss), rel=1e-6)  # added up in float32
        assert not torch.allclose(network.layers[0].weight, start, atol=1e-2)
        for (name, alone), (_, found) in zip(network.state_dict().items(), member.state_dict().items(), strict=True):
            torch.testing.assert_close(found, alone, rtol=0, atol=1e-12, msg=name)


def test_bfloat16_layers_of_a_group_are_its_members_own() -> None:
    alone = [network.float() for network in networks([60, 40, 10])]
    group = NetworkGroup(alone)
    x, weights = torch.randn(3, 50, 60), torch.randn(3, 50, 10)
    for network in (group, *alone):
        for layer in network.layers:
            layer.precision = "bf16"
    outputs = group(x)
    (outputs * weights).sum().backward()
    for number, network in enumerate(alone):
        own = network(x[number])
        (own * weights[number]).sum().backward()
        assert (outputs[number] - own).norm() < 2**-8 * own.norm()
        for layer, layers in zip(network.layers, group.layers, strict=True):
            for mine, theirs in ((layer.weight.grad, layers.weight.grad), (layer.bias.grad, layers.bias.grad)):
                assert mine is not None
                assert theirs is not None
                assert (theirs[number].view_as(mine) - mine).norm() < 2**-7 * mine.norm()


def test_images_are_deformed_as_they_would_be_alone() -> None:
    augment, images = Augment(rotation=20, translation=0.2, elastic_alpha=5), torch.rand(3, 7, 64)
    together = augment(images, (1, 8, 8), [stream(seed, "augment") for seed in range(3)])
    for seed in range(3):
        assert torch.equal(together[seed], augment(images[seed], (1, 8, 8), stream(seed, "augment")))


SMALL = ["stack.layers=[20]", "stack.every_layer.epochs=2", "training.epochs=12", "data.n_labelled=200"]


def curve(result: dict[str, Any], name: str) -> list[float]:
    """A metric by epoch."""
    with (finetuning_directory(result["config"]) / "metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("arm", ["dbn_dropout", "random_relu", "dbn_relu_batchnorm", "random_relu_augment_mixup"])
def test_runs_of_a_group_are_runs_like_any_other(arm: str, compose: Composer) -> None:
    """Own labels, order, curves, best epoch and weights; curves start as they do alone and end where they end alone."""
    small = [*SMALL, f"arm={arm}"]
    group = finetune_seeds(compose("finetune", [*small, "n_parallel_seeds=3", "study=group"]))
    for seed, result in enumerate(group):
        (alone,) = finetune_seeds(compose("finetune", [*small, f"seed={seed}", "study=alone"]))
        assert result["seed"] == seed
        assert (result["trained_together"], alone["trained_together"]) == (3, 1)
        assert result["metrics"].keys() == alone["metrics"].keys()
        assert {*result} == {*alone}
        errors = curve(result, "validation/error")
        assert len(errors) == 12
        assert result["best_epoch"] == errors.index(min(errors))
        assert result["metrics"]["validation/error"] == pytest.approx(min(errors), abs=1e-6)
        found, expected = curve(result, "train/loss"), curve(alone, "train/loss")
        assert found[0] == pytest.approx(expected[0], rel=1e-3)
        assert found[-1] == pytest.approx(expected[-1], rel=0.05)
        weights = load_file(finetuning_directory(result["config"]) / "network.safetensors")
        own = load_file(finetuning_directory(alone["config"]) / "network.safetensors")
        assert {name: tensor.shape for name, tensor in weights.items()} == {n: t.shape for n, t in own.items()}
    firsts = [curve(result, "train/loss")[0] for result in group]
    assert len(set(firsts)) == 3


def test_the_last_weights_if_those_are_wanted(compose: Composer) -> None:
    config = [*SMALL, "arm=random_relu", "n_parallel_seeds=2", "training.weights=last", "data.validation=0"]
    for result in finetune_seeds(compose("finetune", config)):
        assert result["best_epoch"] is None
        assert curve(result, "train/loss")[-1] < curve(result, "train/loss")[0]


def test_autoencoders_train_together(compose: Composer) -> None:
    layers = ["task=autoencoder", "stack.layers=[20,{n_hidden:4,hidden:gaussian}]", "stack.every_layer.epochs=2"]
    overrides = [*layers, "training.epochs=5", "optimizer=adam", "task.baselines=[]"]
    group = finetune_seeds(compose("finetune", [*overrides, "n_parallel_seeds=2", "study=group"]))
    for seed, result in enumerate(group):
        (alone,) = finetune_seeds(compose("finetune", [*overrides, f"seed={seed}", "study=alone"]))
        error = result["metrics"]["test/squared_error"]
        assert error == pytest.approx(alone["metrics"]["test/squared_error"], rel=0.02)


def test_only_what_is_missing_is_trained(compose: Composer) -> None:
    small = [*SMALL, "arm=random_relu"]
    (first,) = finetune_seeds(compose("finetune", [*small, "seed=1"]))
    group = finetune_seeds(compose("finetune", [*small, "n_parallel_seeds=3"]))
    assert group[1] == first
    assert [result["trained_together"] for result in group] == [2, 1, 2]


def test_interrupted_between_epochs_and_between_results_it_ends_with_the_same_bits(
    compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finetune.runs.early_stopping import BestMembers
    from finetune.tasks.base import FineTuning

    small = [*SMALL, "arm=dbn_dropout", "n_parallel_seeds=3", "checkpoint_seconds=0"]
    undisturbed = finetune_seeds(compose("finetune", [*small, "study=undisturbed"]))
    config = compose("finetune", [*small, "study=disturbed"])
    take_over, evaluate = BestMembers.on_validation_end, FineTuning.evaluate
    calls = {"epochs": 0, "evaluations": 0}

    def failing_take_over(self: BestMembers, trainer: Any, pl_module: Any) -> None:
        calls["epochs"] += 1
        if calls["epochs"] == 7:
            raise StoppedError
        take_over(self, trainer, pl_module)

    def failing_evaluate(self: FineTuning, images: Any) -> dict[str, float]:
        calls["evaluations"] += 1
        if calls["evaluations"] == 5:  # four for the first member: train, validation, spare, test
            raise StoppedError
        return evaluate(self, images)

    monkeypatch.setattr(BestMembers, "on_validation_end", failing_take_over)
    monkeypatch.setattr(FineTuning, "evaluate", failing_evaluate)
    for n_done in (0, 1):
        with pytest.raises(StoppedError):
            finetune_seeds(config)
        assert len(list(finetuning_directory(config).parent.glob("*/result.json"))) == n_done
        with pytest.raises(RunConflictError, match="_rate="):  # their checkpoints in common are this configuration's
            finetune_seeds(compose("finetune", [*small, "study=disturbed", "training.learning_rate=0.05"]))
    epochs = calls["epochs"]
    results = finetune_seeds(config)
    assert calls["epochs"] == epochs == 13  # twelve, and the one that was interrupted
    for found, expected in zip(results, undisturbed, strict=True):
        assert (found["metrics"], found["best_epoch"]) == (expected["metrics"], expected["best_epoch"])
        for name in ("network.safetensors", "metrics.csv"):
            files = [finetuning_directory(result["config"]) / name for result in (found, expected)]
            assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("arm", ["dbn_relu_batchnorm_dropout", "random_relu_augment_mixup"])
def test_stopped_within_an_epoch_it_goes_on_with_the_same_bits(
    arm: str, seeds: int, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Running averages, shares and partners of the third block of an epoch, of blocks of 40 images."""
    monkeypatch.setitem(block_loader.IMAGES_PER_BLOCK, "cpu", 40)
    mixup = [] if "mixup" in arm else ["training.mixup=1.0"]
    small = [*SMALL, *mixup, f"arm={arm}", f"n_parallel_seeds={seeds}", "training.epochs=4", "checkpoint_seconds=1e-9"]
    undisturbed = finetune_seeds(compose("finetune", [*small, "study=undisturbed"]))
    begin = FineTuning.begin_block

    def crash(self: FineTuning, block: Block) -> Block:
        if (self.current_epoch, block.number) == (2, 2):
            raise StoppedError
        return begin(self, block)

    config = compose("finetune", [*small, "study=disturbed"])
    with monkeypatch.context() as stop:
        stop.setattr(FineTuning, "begin_block", crash)
        with pytest.raises(StoppedError):
            finetune_seeds(config)
    for found, expected in zip(finetune_seeds(config), undisturbed, strict=True):
        assert found["metrics"] == expected["metrics"]
        for name in ("network.safetensors", "metrics.csv"):
            files = [finetuning_directory(result["config"]) / name for result in (found, expected)]
            assert files[0].read_bytes() == files[1].read_bytes()


def test_patience_is_for_one_seed_at_a_time(compose: Composer) -> None:
    config = compose("finetune", [*SMALL, "arm=dbn", "training.patience=3", "n_parallel_seeds=2"])
    with pytest.raises(SettingError, match=r"training\.patience=3: 2 seeds.*n_parallel_seeds=1"):
        finetune_seeds(config)
    assert not list(Path(config["paths"]["runs"]).rglob("pretrain")), "said before anything is pretrained"
