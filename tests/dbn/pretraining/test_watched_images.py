"""What is watched while models train: a random sample, the same for every arm, seed, layer and resumed fit."""

from pathlib import Path
from typing import Any

import pytest
import torch

from dbn import RBM
from dbn.data import DataSet, Images, Source, load_data
from dbn.models.dbn import DBN
from dbn.models.units import Bernoulli
from dbn.pretraining import LayerSettings, StackRun, fit, pretrain_stack, pretrain_stacks
from dbn.pretraining.contrastive import RBMTraining
from dbn.pretraining.fit import MONITORED_IMAGES
from dbn.pretraining.pictures import pictures_of_stack
from dbn.pretraining.rbm_metrics import rbm_metrics
from dbn.pretraining.representations import PropagatedImages, propagate
from dbn.random.streams import stream

CLASSES, FEATURES = 10, 20


def sorted_by_class(each: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Binary images ``(10 * each, 1, 4, 5)`` of ten prototypes, sorted by class, and their labels."""
    prototypes = torch.rand(CLASSES, FEATURES, generator=stream(0, "prototypes"))
    labels = torch.arange(CLASSES).repeat_interleave(each)
    noise = torch.rand(len(labels), FEATURES, generator=stream(seed, "noise"))
    return (noise < prototypes[labels]).to(torch.uint8).reshape(-1, 1, 4, 5), labels


@pytest.fixture(scope="module")
def data() -> DataSet:
    """Files sorted by class that nothing shuffles: they come with all three splits."""
    (x, y), (v, vy), (t, ty) = (sorted_by_class(each, seed) for each, seed in ((600, 1), (300, 2), (20, 3)))
    return load_data(Source("sorted", x, y, t, ty, v, vy, maximum=1.0), validation=None)


def test_a_sample_is_of_all_images(data: DataSet) -> None:
    """Counts of the classes as hypergeometric draws have them: within 4 standard deviations of a tenth each."""
    numbered = Images.from_features(torch.arange(6000.0)[:, None])
    drawn = numbered.sample(1000)[:, 0].long()
    assert len(drawn.unique()) == 1000
    counts = torch.bincount(data.train.labels[drawn], minlength=CLASSES)  # type: ignore[index]
    deviation = (1000 * 0.1 * 0.9 * (6000 - 1000) / (6000 - 1)) ** 0.5
    assert (counts - 100).abs().max() < 4 * deviation
    assert torch.equal(numbered.sample(1000), numbered.sample(1000))
    for n in (6000, 7000):
        assert torch.equal(numbered.sample(n), numbered.features())
    assert numbered.take(torch.arange(0)).sample(5).shape == (0, 1)


def test_the_gap_that_is_watched_is_that_of_all_images(data: DataSet) -> None:
    """Within 3 standard errors of two samples without replacement, estimated from all images."""
    rbm = RBM(Bernoulli(FEATURES), Bernoulli(8), weight_std=0.01, generator=stream(0, "init"))
    fit(rbm, data.train, epochs=3)
    watched = rbm_metrics(rbm, data.train.sample(MONITORED_IMAGES), data.validation.sample(MONITORED_IMAGES))
    variance = 0.0
    for images in (data.train, data.validation):
        energies = rbm.free_energy(images.features()).detach()
        variance += float(energies.var()) / MONITORED_IMAGES * (1 - MONITORED_IMAGES / len(images))
    whole = rbm_metrics(rbm, data.train.features(), data.validation.features())
    assert abs(watched["free_energy_gap"] - whole["free_energy_gap"]) < 3 * variance**0.5
    first = rbm_metrics(rbm, data.train.features(slice(0, 1000)), data.validation.features(slice(0, 1000)))
    assert abs(first["free_energy_gap"] - whole["free_energy_gap"]) > 3 * variance**0.5, "or this tests nothing"


def test_fit_watches_the_sample(data: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = recorded(monkeypatch)
    fit(RBM(Bernoulli(FEATURES), Bernoulli(8)), data.train, epochs=1)
    assert torch.equal(seen[0][0], data.train.sample(MONITORED_IMAGES))


def test_every_seed_layer_and_resumed_fit_watches_the_same_images(
    data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The images behind what each layer watches: alone, with other seeds, and after an interruption, however kept."""
    seen = recorded(monkeypatch)
    layers = [LayerSettings(n_hidden=6, epochs=1), LayerSettings(n_hidden=5, epochs=1)]
    stacks = pretrain_stacks(data, layers, [StackRun(0), StackRun(7)], progress=False)
    assert len(seen) == 4  # two layers, two seeds
    for number, (train, validation) in enumerate(seen):
        layer, member = divmod(number, 2)
        for images, found in ((data.train, train), (data.validation, validation)):
            expected = stacks[member].stack.up(images.sample(MONITORED_IMAGES), layer)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    for representations in ("memory", "compute", "disk"):
        directory = tmp_path / representations
        pretrain_stack(data, layers[:1], directory=directory, progress=False)
        seen.clear()
        resumed = pretrain_stack(
            data, layers, directory=directory, representations=representations, progress=False
        )  # the first layer is there
        ((train, validation),) = seen
        torch.testing.assert_close(train, resumed.up(data.train.sample(MONITORED_IMAGES), 1), rtol=0, atol=1e-6)
        torch.testing.assert_close(
            validation, resumed.up(data.validation.sample(MONITORED_IMAGES), 1), rtol=0, atol=1e-6
        )


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """What layers are given to watch from now on, for each model its training and validation images."""
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    start = RBMTraining.on_fit_start

    def on_fit_start(self: RBMTraining) -> None:
        assert self.monitored is not None
        seen.extend(zip(self.monitored, self.monitored_validation or self.monitored, strict=True))
        start(self)

    monkeypatch.setattr(RBMTraining, "on_fit_start", on_fit_start)
    return seen


def test_a_layer_up_the_same_images_are_watched(data: DataSet) -> None:
    rbm = RBM(Bernoulli(FEATURES), Bernoulli(8), generator=stream(0, "init")).requires_grad_(False)
    expected = rbm.mean_hidden(data.train.sample(50))
    for images in (PropagatedImages(data.train, rbm), propagate(rbm, data.train)):
        torch.testing.assert_close(images.sample(50), expected)


def test_pictures_are_of_several_classes(data: DataSet) -> None:
    rbm = RBM(Bernoulli(FEATURES), Bernoulli(8), generator=stream(0, "init"))
    shown: Any = pictures_of_stack(DBN([rbm]), data, 0)
    expected = data.validation.sample(20)
    assert torch.equal(torch.from_numpy(shown["images"]).flatten(1), expected)
    assert not torch.equal(expected, data.validation.features(slice(0, 20)))
