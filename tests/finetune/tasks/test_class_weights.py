"""Weights of images and classes in the loss, and the balanced error: against torch's, scikit-learn's, and by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F

from dbn.data import DataSet, Images, Source, load_data
from dbn.data.block_loader import BlockLoader
from dbn.data.blocks import Block, Minibatch
from dbn.data.group_loader import join_loaders
from dbn.data.selected_images import SelectedImages
from dbn.data.without_labels import without_labels
from dbn.errors import DataError, SettingError
from dbn.random.streams import stream
from finetune.networks.group import group_networks
from finetune.networks.network import Network
from finetune.runs.fitting import check_task
from finetune.runs.network_run import finetune
from finetune.tasks import Classifier
from finetune.tasks.balanced_error import BalancedError
from finetune.tasks.class_weights import class_weights, weighted
from finetune.tasks.mixup import mix
from finetune.tasks.settings import TrainingSettings
from helpers import Composer


def unbalanced(n: int = 300) -> DataSet:
    """Two overlapping classes of the plane, one of them rare."""
    generator = torch.Generator().manual_seed(0)
    labels = (torch.arange(n) % 10 == 0).long()
    points = torch.randn(n, 1, 1, 2, generator=generator) + 1.2 * labels[:, None, None, None]
    return load_data(Source("two", points, labels), standardise=True)


def module_of(networks: int = 1, **settings: Any) -> Classifier:
    torch.manual_seed(1)
    network = group_networks([Network.dense([4, 3, 3]) for _ in range(networks)])
    options: Any = {"optimizer": torch.optim.SGD, "steps_per_epoch": 1, "seeds": range(networks)}
    return Classifier(network, TrainingSettings(epochs=1, **settings), **options)


@pytest.mark.parametrize("loss", ["cross_entropy", "squared", "perceptron"])
def test_the_loss_of_an_image_is_multiplied_by_its_weight(loss: str) -> None:
    module = module_of(loss=loss)
    outputs, labels, weights = torch.randn(7, 3), torch.randint(3, (7,)), torch.rand(7)
    plain = module.losses(outputs, Minibatch(torch.zeros(7, 4), labels, 7))
    found = module.losses(outputs, Minibatch(torch.zeros(7, 4), labels, 7, weights))
    torch.testing.assert_close(found, plain * weights, rtol=0, atol=0)


def test_class_weights_are_those_of_torch() -> None:
    """Torch's own cross-entropy takes a weight for each class; its mean is over weights, ours over images."""
    module, own = module_of(), torch.tensor([0.5, 1.0, 3.0])
    outputs, labels = torch.randn(9, 3), torch.randint(3, (9,))
    found = module.losses(outputs, Minibatch(torch.zeros(9, 4), labels, 9, own[labels])).sum()
    torch.testing.assert_close(found, F.cross_entropy(outputs, labels, weight=own, reduction="sum"))


def test_an_image_of_weight_two_counts_like_two_images() -> None:
    x, y = torch.rand(5, 4), torch.tensor([0, 1, 2, 0, 1])
    gradients = []
    for features, labels, weights in (
        (x, y, torch.tensor([1.0, 2.0, 1.0, 1.0, 1.0])),
        (torch.cat([x, x[1:2]]), torch.cat([y, y[1:2]]), None),
    ):
        module = module_of()
        objective, _ = module.objective(Minibatch(features, labels, 6, weights))
        objective.backward()
        gradients.append([parameter.grad for parameter in module.network.parameters()])
    for own, other in zip(*gradients, strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-7)


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_mixed_images_have_the_mixture_of_the_weighted_losses(alpha: float) -> None:
    n, module = 6, module_of(mixup=alpha)
    labels, weights, outputs = torch.arange(n) % 3, torch.rand(n) + 0.5, torch.randn(n, 3)
    block = Block(0, torch.eye(n), labels, (n,), (n,), weights)
    mixed = mix(block, alpha, 3, stream(0, "mixup"))
    (batch,) = mixed.minibatches()
    found = module.losses(outputs, batch)
    for image in range(n):
        losses = F.cross_entropy(outputs[image].expand(n, 3), labels, reduction="none") * weights
        assert float(found[image]) == pytest.approx(float(mixed.features[image] @ losses), rel=1e-5)


def test_weights_stay_with_their_images() -> None:
    """Through selection, shuffling, minibatches, groups and loss of labels."""
    n = 23
    images = Images.from_features(torch.arange(float(n))[:, None], torch.arange(n), torch.arange(float(n)) / 7)
    chosen = torch.tensor([3, 20, 5, 11, 8])
    selected = SelectedImages(
        images.pixels, torch.arange(n), images.labels, images.offset, images.factor, images.weights
    )
    for own in (images, images.take(chosen), selected, selected.take(chosen), selected.to("cpu")):
        for block in BlockLoader(own, batch_size=4, minibatches_per_block=2, seed=1):
            for batch in block.minibatches():
                assert batch.weights is not None
                torch.testing.assert_close(batch.weights, batch.features[:, 0] / 7, rtol=0, atol=0)
    group = join_loaders([BlockLoader(images, batch_size=4, seed=seed) for seed in (1, 2)])
    for block in group:
        assert block.weights is not None
        assert torch.equal(block.weights, block.features[..., 0] / 7)
    for own in (images, selected):
        assert without_labels(own, chosen).weights is None


@pytest.mark.parametrize(
    "weights", [torch.ones(4), torch.tensor([1.0, -1.0, 1.0]), torch.tensor([1.0, torch.nan, 1.0])]
)
def test_bad_weights_of_images_are_refused(weights: torch.Tensor) -> None:
    with pytest.raises(DataError, match="weights"):
        Images.from_features(torch.zeros(3, 2), torch.zeros(3).long(), weights)


def test_balanced_weights_are_scikit_learn_s() -> None:
    labels = np.repeat([0, 1, 2], [50, 7, 13])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    found = class_weights("balanced", torch.from_numpy(labels), ("a", "b", "c"))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_balanced_error_is_scikit_learn_s() -> None:
    """One class without images, added in two parts."""
    generator = torch.Generator().manual_seed(2)
    labels = torch.tensor([0, 1, 1, 3])[torch.randint(4, (200,), generator=generator)]
    predicted = torch.randint(4, (200,), generator=generator)
    metric = BalancedError(4)
    for part in (slice(0, 120), slice(120, 200)):
        metric.update(predicted[part], labels[part])
    recalls = [(predicted[labels == own] == own).double().mean() for own in (0, 1, 3)]
    assert float(metric.compute()) == pytest.approx(1 - float(sum(recalls)) / 3, abs=1e-12)
    kept = predicted != 2  # scikit-learn warns of predicted classes that no label has
    metric = BalancedError(4)
    metric.update(predicted[kept], labels[kept])
    assert float(metric.compute()) == pytest.approx(1 - balanced_accuracy_score(labels[kept], predicted[kept]))


def test_balanced_weights_find_more_of_a_rare_class(compose: Composer, tmp_path: Any) -> None:
    """The same network, once with weights: more of the rare class, more errors altogether, fewer balanced ones."""
    data = unbalanced()
    pixels = np.concatenate([images.pixels.numpy() for images in (data.train, data.validation, data.test)])
    labels = np.concatenate([np.asarray(images.labels) for images in (data.train, data.validation, data.test)])
    np.savez(tmp_path / "two.npz", images=pixels, labels=labels)
    common = ["data=npz", f"data.path={tmp_path}/two.npz", "data.standardise=true", "stack.visible=gaussian"]
    common += ["arm=random_relu", "stack.layers=[8]", "training.epochs=30", "training.batch_size=20"]
    plain = finetune(compose("finetune", common))["metrics"]
    balanced = finetune(compose("finetune", [*common, "training.class_weights=balanced", "name=b"]))["metrics"]
    assert balanced["train/balanced_error"] < plain["train/balanced_error"]
    assert balanced["train/error"] > plain["train/error"]
    assert balanced["test/balanced_error"] < plain["test/balanced_error"]


def test_seeds_that_train_together_have_weights_of_their_own() -> None:
    module = module_of(3)
    outputs, labels, weights = torch.randn(3, 5, 3), torch.randint(3, (3, 5)), torch.rand(3, 5)
    found = module.losses(outputs, Minibatch(torch.zeros(3, 5, 4), labels, 5, weights))
    for own, classes, factors, each in zip(outputs, labels, weights, found, strict=True):
        torch.testing.assert_close(each, F.cross_entropy(own, classes, reduction="none") * factors)


def test_class_weights_are_on_top_of_weights_of_images() -> None:
    data = unbalanced()
    own = torch.rand(len(data.train))
    found = weighted(replace(data, train=replace(data.train, weights=own)), [1.0, 5.0]).train
    assert data.train.labels is not None
    assert found.weights is not None
    torch.testing.assert_close(found.weights, own * torch.tensor([1.0, 5.0])[data.train.labels], rtol=0, atol=0)
    assert weighted(data, None) is data


@pytest.mark.parametrize("wanted", ["equal", 1.0, [], [1, "a"], [1, -1], [0, 0], {"a": 1}])
def test_other_settings_are_refused(wanted: Any) -> None:
    with pytest.raises(SettingError, match=r"training\.class_weights"):
        TrainingSettings(epochs=1, class_weights=wanted)


def test_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SettingError, match=r"training\.class_weights=\[1, 2, 3\].*2 classes: 0, 1"):
        weighted(unbalanced(), [1, 2, 3])
    with pytest.raises(SettingError, match="label_smoothing"):
        TrainingSettings(epochs=1, class_weights="balanced", mixup=0.2, label_smoothing=0.1)
    with pytest.raises(SettingError, match=r"training\.class_weights=balanced: task=autoencoder"):
        check_task(TrainingSettings(epochs=1, class_weights="balanced"), "autoencoder")
