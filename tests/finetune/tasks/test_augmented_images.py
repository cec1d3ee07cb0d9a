"""Crops, mirror images and colours in whole runs: what a fit sees, bits after an interruption, groups, refusals."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import Tensor

from dbn.data import block_loader
from dbn.data.blocks import Block
from dbn.data.from_config import data_sets_of
from dbn.errors import SettingError
from dbn.pretraining.stack_run import pretrain
from finetune.runs.network_run import finetune, finetune_seeds, finetuning_directory
from finetune.tasks import Classifier
from helpers import Composer

SMALL = [
    "data=npz", "data.path=colours.npz", "augment=crop_flip_colour", "augment.crop=1", "stack.layers=[9]",
    "training.epochs=3", "training.batch_size=20", "stack.every_layer.epochs=2", "stack.every_layer.batch_size=20",
    "stack.visible=gaussian", "data.standardise=true", "stack.every_layer.learning_rate=0.001",
]  # fmt: skip


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """200 pictures of 3 x 6 x 5 bytes in four classes; blocks of two minibatches."""
    images = np.random.default_rng(0).integers(0, 256, (200, 3, 6, 5), dtype=np.uint8)
    images[:, 2] //= 2
    np.savez("colours.npz", images=images.transpose(0, 2, 3, 1), labels=np.arange(200) % 4)
    monkeypatch.setitem(block_loader.IMAGES_PER_BLOCK, "cpu", 40)


def network_of(result: dict[str, Any]) -> dict[str, Any]:
    return load_file(finetuning_directory(result["config"]) / "network.safetensors")


class StoppedError(Exception):
    pass


def test_a_fit_sees_other_crops_mirrors_and_colours_in_every_epoch(
    compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each image is one of the pictures, cropped, mirrored and recoloured within the bytes that a picture may have."""
    config = compose("finetune", [*SMALL, "arm=random_relu", "augment.contrast=0.0", "augment.saturation=0.0"])
    (data,) = data_sets_of([config])
    seen: dict[int, list[Tensor]] = {}
    begin = Classifier.begin_block

    def spying(self: Classifier, block: Block) -> Block:
        prepared = begin(self, block)
        seen.setdefault(self.current_epoch, []).append(prepared.features.clone())
        return prepared

    monkeypatch.setattr(Classifier, "begin_block", spying)
    result = finetune(config)
    assert result["arm"] == "random_relu_augment_crop_flip_colour"
    stored = data.scaling.stored(data.train.features()).reshape(-1, 3, 6, 5)
    epochs = [data.scaling.stored(torch.cat(seen[epoch])).reshape(-1, 3, 6, 5) for epoch in range(3)]
    for images in epochs:
        assert len(images) == len(data.train)
        assert images.min() > -1e-2
        assert images.max() < 255.01
        for image in images[:20]:  # brighter by one factor than the inside of a crop of one picture
            inside = image[:, 1:-1, 1:-1]
            assert min(misfit(inside, stored[:, :, y : y + 4, x : x + 3]) for y in range(3) for x in range(3)) < 0.5
    assert len(torch.cat(epochs).flatten(1).unique(dim=0)) == 3 * len(data.train)


def misfit(image: Tensor, pictures: Tensor) -> float:
    """Largest difference of an image to the best of pictures and mirrored pictures, brighter by a factor, clamped."""
    found = []
    for own in (image, image.flip(-1)):
        products, squares = (x * (own < 254.9) for x in (pictures * own, pictures.square()))
        factor = (products.sum((1, 2, 3)) / squares.sum((1, 2, 3))).clamp(0.6, 1.4)
        brighter = (pictures * factor[:, None, None, None]).clamp(max=255)
        found.append((brighter - own).abs().amax((1, 2, 3)).min())
    return float(min(found))


@pytest.mark.parametrize("seeds", [1, 2])
def test_an_interrupted_fit_ends_with_the_same_bits(
    seeds: int, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = [*SMALL, "arm=random_relu", f"n_parallel_seeds={seeds}", "checkpoint_seconds=1e-9"]
    expected = finetune_seeds(compose("finetune", [*settings, "study=undisturbed"]))
    config = compose("finetune", [*settings, "study=disturbed"])
    begin = Classifier.begin_block

    def failing(self: Classifier, block: Block) -> Block:
        if (self.current_epoch, block.number) == (1, 1):
            raise StoppedError
        return begin(self, block)

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "begin_block", failing)
        with pytest.raises(StoppedError):
            finetune_seeds(config)
    for found, wanted in zip(finetune_seeds(config), expected, strict=True):
        assert found["metrics"] == wanted["metrics"]
        for name, weight in network_of(wanted).items():
            np.testing.assert_array_equal(network_of(found)[name], weight)


def test_seeds_together_learn_what_each_learns_alone(compose: Composer) -> None:
    """Each on a split of its own, whose mean and deviations are its own: up to rounding."""
    settings = [*SMALL, "arm=dbn", "augment@stack.augment=crop_flip_colour", "stack.augment.crop=1"]
    settings += ["data.split_seed=null", "precision=float32"]
    together = finetune_seeds(compose("finetune", [*settings, "n_parallel_seeds=2", "study=together"]))
    for seed, found in enumerate(together):
        alone = finetune(compose("finetune", [*settings, f"seed={seed}", "study=alone"]))
        for name, weight in network_of(alone).items():
            np.testing.assert_allclose(network_of(found)[name], weight, rtol=0, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["arm=random_relu", "augment=crop_flip_colour"], r"augment\.saturation=0\.4: images of data=digits"),
        (["arm=dbn", "stack.augment.saturation=0.1"], r"stack\.augment\.saturation=0\.1: images of data=digits"),
        (["arm=random_relu", "augment.crop=8"], r"augment\.crop=8: images of data=digits have 8x8 pixels"),
        (
            ["arm=random_relu", "unlabelled=fixmatch", "data.n_labelled=100", "+unlabelled.strong.saturation=0.5"],
            r"unlabelled\.strong\.saturation=0\.5: images of data=digits",
        ),
    ],
)
def test_what_the_images_cannot_have_is_refused(settings: list[str], message: str, compose: Composer) -> None:
    with pytest.raises(SettingError, match=message):
        finetune(compose("finetune", settings))
    assert not list(Path("runs").rglob("result.json"))


def test_pretraining_alone_refuses_it_too(compose: Composer) -> None:
    with pytest.raises(SettingError, match=r"stack\.augment\.saturation=0\.1: images of data=digits"):
        pretrain(compose("pretrain", ["stack.augment.saturation=0.1"]))
