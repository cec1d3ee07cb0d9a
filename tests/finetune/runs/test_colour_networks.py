"""Networks and stacks of images in colour from a folder of arrays: trained, drawn, used on new images."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dbn.data.from_config import data_of
from dbn.models.dbn import DBN
from dbn.pretraining.stack_run import pretraining_config, pretraining_directory
from finetune import Network
from finetune.runs.network_run import finetune, finetuning_directory
from finetune.runs.starting_networks import starting_points
from helpers import Composer

SHORT = ["training.epochs=2", "training.batch_size=50", "data.validation=40", "data.test=60"]
LAYERS = "stack.layers=[{kind:convolution,maps:4,kernel:5,padding:2,pool:4},12]"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A red or a green square, where it pleases, on noise: 300 images (32, 32, 3)."""
    rng, n = np.random.default_rng(0), 300
    labels = np.arange(n) % 2
    images = rng.integers(0, 60, (n, 32, 32, 3), dtype=np.uint8)
    for image, label, (row, column) in zip(images, labels, rng.integers(0, 20, (n, 2)), strict=True):
        image[row : row + 12, column : column + 12, label] += 195
    folder = tmp_path / "pictures"
    folder.mkdir()
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels)
    return folder


def options(folder: Path) -> list[str]:
    return ["data=memmap", f"data.path={folder}", *SHORT]


@pytest.mark.parametrize("network", ["lenet", "alexnet_small"])
def test_named_networks_learn_colours_from_crops_mirror_images_and_other_colours(
    network: str, pictures: Path, compose: Composer
) -> None:
    chosen = [f"network={network}", "start=random_relu", "augment=crop_flip_colour", "normalisation=batch"]
    config = compose("finetune", [*options(pictures), *chosen, "training.learning_rate=0.02", "training.epochs=4"])
    result = finetune(config)
    assert result["metrics"]["test/error"] < 0.1
    trained = Network.load(finetuning_directory(config))
    assert trained.shapes[0] == (32, 32, 3)
    images, labels = np.load(pictures / "images.npy"), np.load(pictures / "labels.npy")
    assert (trained.predict(images) == labels).mean() > 0.9, "as stored, channels last"


@pytest.mark.parametrize(
    "units", [[], ["stack.visible=gaussian", "data.standardise=true", "stack.every_layer.learning_rate=0.002"]]
)
def test_stacks_of_colour_images_start_networks_exactly(units: list[str], pictures: Path, compose: Composer) -> None:
    config = compose("finetune", [*options(pictures), *units, "arm=conv_dbn", LAYERS, "stack.every_layer.epochs=1"])
    data = data_of(config)
    (start,) = starting_points([config], data, [data.train])
    stack = DBN.load(pretraining_directory(pretraining_config(config)))
    assert stack[0].connection.weight.shape == (4, 3, 5, 5)
    x = data.test.sample(20)
    hidden = start.network.eval().hidden(x)
    for layer in (1, 2):
        torch.testing.assert_close(hidden[layer - 1], stack.up(x, layer), rtol=0, atol=1e-6)
    assert stack.down(stack.up(x)).shape == (20, 3 * 32 * 32)
