"""Up-down training: what it learns and refuses, resumed fits, seeds together."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dbn import DBN
from dbn.data import DataSet, digits, load_data
from dbn.data.images import Images
from dbn.errors import DataError, SettingError
from dbn.models.class_rbm import class_log_probabilities, stack_given_label
from dbn.models.untied import Untied
from dbn.pretraining import (
    ClassRBMPretraining,
    DenoisingAutoencoder,
    LayerSettings,
    StackRun,
    UpDownPretraining,
    pretrain_stack,
    pretrain_stacks,
    up_down,
)
from dbn.pretraining.up_down import UpDownTraining, up_down_metrics


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data(digits())


def layers_of(n_hidden: int = 40, n_labels: int = 10, **settings: Any) -> list[LayerSettings]:
    """Settings of two layers, the upper one with a label."""
    own = {"batch_size": 20, "epochs": 4, **settings}
    hidden = {"kind": "bernoulli_with_label", "n_labels": n_labels}
    return [LayerSettings(n_hidden=n_hidden, **own), LayerSettings(n_hidden=n_hidden, hidden=hidden, **own)]


@pytest.fixture(scope="module")
def greedy(data: DataSet) -> DBN:
    """A greedily pretrained stack that knows labels."""
    return pretrain_stack(data, layers_of(), method=ClassRBMPretraining(), progress=False)


def wrong(stack: DBN, data: DataSet) -> Tensor:
    """Which test images it is wrong about."""
    return class_log_probabilities(stack, data.test.features()).argmax(1) != data.test.labels


def test_it_improves_on_the_greedy_stack_and_leaves_it_as_it_is(data: DataSet, greedy: DBN) -> None:
    """By more than two standard errors of the difference, from the images that one of both is wrong about."""
    before = [parameter.clone() for parameter in greedy.parameters()]
    stack = up_down(greedy, data.train, epochs=8, learning_rate=0.02, batch_size=20)
    assert all(map(torch.equal, before, greedy.parameters()))
    ours, theirs = wrong(stack, data), wrong(greedy, data)
    better, worse = int((theirs & ~ours).sum()), int((ours & ~theirs).sum())
    assert better - worse > 2 * (better + worse) ** 0.5
    layer = stack[0]
    assert isinstance(layer, Untied)
    assert not torch.allclose(layer.connection.weight, layer.generative.weight, atol=0.01)
    for label in (0, 1):  # samples are nearer to the images of their own class
        mean = stack_given_label(stack, label).sample(200, 100, torch.Generator().manual_seed(0)).mean(0)
        distances = [
            float((mean - data.train.features()[data.train.labels == other].mean(0)).norm()) for other in (0, 1)
        ]
        assert distances[label] < distances[1 - label]


def test_metrics_are_those_of_the_layers_below_the_top(data: DataSet, greedy: DBN) -> None:
    stack = up_down(greedy, data.train, epochs=1, batch_size=100)
    v = data.validation.features()
    metrics = up_down_metrics([stack[0], stack[1]], v, v[:50])
    with torch.no_grad():
        h = torch.sigmoid(v @ stack[0].connection.weight + stack[0].hidden.bias)
        errors = (torch.sigmoid(h @ stack[0].generative.weight.T + stack[0].visible.bias) - v).square().sum(1)
    assert metrics["reconstruction_error"] == pytest.approx(float(errors.mean()), rel=1e-4)
    assert metrics["validation_reconstruction_error"] == pytest.approx(float(errors[:50].mean()), rel=1e-4)


def test_an_interrupted_fit_ends_with_the_same_bits_and_seeds_train_together(
    data: DataSet, greedy: DBN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = UpDownPretraining(epochs=4, steps={0: 1, 2: 2})
    options: dict[str, Any] = {"method": method, "progress": False, "checkpoint_seconds": 0}

    def trained(folder: Path | None = None, seeds: Sequence[int] = (0,), start: DBN | None = greedy) -> list[DBN]:
        runs = [StackRun(seed, None if folder is None else folder / str(seed), start=start) for seed in seeds]
        return [own.stack for own in pretrain_stacks(data, layers_of(), runs, directory=folder, **options)]

    (whole,) = trained()
    with monkeypatch.context() as patch:
        started = UpDownTraining.on_train_epoch_start

        def stop(self: UpDownTraining) -> None:
            started(self)
            if self.current_epoch == 2:
                raise KeyboardInterrupt

        patch.setattr(UpDownTraining, "on_train_epoch_start", stop)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path)
    (resumed,) = trained(tmp_path)
    for (name, own), (_, again) in zip(whole.named_parameters(), resumed.named_parameters(), strict=True):
        assert torch.equal(own, again), name
    first, second = trained(seeds=(0, 1))
    errors = [float(wrong(stack, data).float().mean()) for stack in (whole, first, second)]
    assert max(errors) - min(errors) < 0.06, "statistically the same; three standard errors of 360 images"
    (twin,) = trained(start=None)
    assert isinstance(twin[0], Untied)
    assert not torch.allclose(twin[0].weight, whole[0].weight, atol=0.1)


def test_a_stack_without_label_learns_from_images_alone(data: DataSet) -> None:
    layers = [LayerSettings(n_hidden=20, epochs=2, batch_size=20) for _ in range(2)]
    stack = pretrain_stack(data, layers, progress=False)
    fitted = up_down(stack, data.train.features().numpy(), epochs=2, batch_size=20)
    assert fitted.sample(3, 5).shape == (3, 64)
    with pytest.raises(DataError, match="knows none"):
        up_down(stack, data.train, data.train.labels, epochs=1)


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (layers_of()[1:], "two layers or more"),
        (layers_of(n_labels=7), "Set it to 10"),
        ([replace(layers_of()[0], hidden="relu", learning_rate=0.001), layers_of()[1]], "hidden=relu"),
        ([layers_of()[0], replace(layers_of()[1], batch_size=50)], "batch_size is 20, 50"),
        ([replace(layers_of()[0], sparsity_target=0.1), layers_of()[1]], "sparsity_target=0.1"),
    ],
)
def test_layers_that_do_not_fit_are_refused_before_training(
    layers: list[LayerSettings], said: str, data: DataSet
) -> None:
    with pytest.raises(SettingError, match=said):
        pretrain_stack(data, layers, method=UpDownPretraining(), progress=False)


def test_data_without_classes_are_refused_where_there_is_a_label() -> None:
    images = Images.from_features(torch.rand(30, 4))
    data = DataSet("mine", images, images, images, (1, 2, 2), ())
    with pytest.raises(SettingError, match="has no classes"):
        pretrain_stack(data, layers_of(4), method=UpDownPretraining(), progress=False)


def test_what_cannot_be_trained_so_is_refused(data: DataSet, greedy: DBN) -> None:
    with pytest.raises(SettingError, match="two layers or more"):
        up_down(DBN([greedy[1]]), data.train)
    with pytest.raises(SettingError, match="stack is a RBM"):
        up_down(greedy[1], data.train)
    with pytest.raises(SettingError, match=r"up_down.*patience"):
        up_down(greedy, data.train, patience=3)
    with pytest.raises(SettingError, match=r"method\.greedy=DenoisingAutoencoder"):
        UpDownPretraining(DenoisingAutoencoder())
    with pytest.raises(SettingError, match="does not go on from a stack"):
        pretrain_stacks(data, layers_of(), [StackRun(start=greedy)], method=ClassRBMPretraining(), progress=False)
    with pytest.raises(SettingError, match="here there is none"):
        pretrain_stack(data, layers_of(), method=UpDownPretraining(ClassRBMPretraining()), progress=False)
    with pytest.raises(SettingError, match="start=64-40-40"):
        pretrain_stacks(data, layers_of(30), [StackRun(start=greedy)], method=UpDownPretraining(), progress=False)


@pytest.mark.parametrize(
    ("name", "value"), [("epochs", 0), ("learning_rate", 0), ("steps", {1: 2}), ("sample_visible", 2)]
)
def test_settings_out_of_range_are_named(name: str, value: Any) -> None:
    with pytest.raises(SettingError, match=f"method.{name}"):
        UpDownPretraining(**{name: value})
