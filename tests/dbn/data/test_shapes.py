"""What is known of a data set without its images is what they turn out to be."""

import math
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytest
from PIL import Image

from dbn.data import load_data
from dbn.data.shapes import info_of
from dbn.errors import DataError
from finetune.runs.description import describe
from helpers import Composer


def loaded(data: dict[str, Any]) -> Any:
    return load_data(hydra.utils.instantiate(data["source"]), validation=0)


def agree(data: dict[str, Any]) -> None:
    facts, found = info_of(data), loaded(data)
    assert (facts.name, facts.shape, facts.classes) == (found.name, found.shape, found.classes)
    assert facts.n_features == math.prod(found.shape)


@pytest.mark.parametrize(
    "choice",
    [
        "mnist",
        "fashion_mnist",
        "binarized_mnist",
        "easypr",
        "olivetti",
        "olivetti data.split=image data.size=16",
        "newsgroups",
        "newsgroups data.values=presence",
    ],
)
def test_of_data_sets_that_are_fetched(choice: str, compose: Composer, data_root: Path) -> None:
    name, *more = choice.split()
    agree(compose("finetune", [f"data={name}", *more])["data"])


def test_of_the_embedded_digits(compose: Composer) -> None:
    agree(compose("finetune")["data"])


@pytest.mark.parametrize("shape", [(20, 6, 5), (20, 36), (20, 35), (20, 6, 5, 3)])
@pytest.mark.parametrize("labels", [True, False])
def test_of_an_npz_file(shape: tuple[int, ...], labels: bool, compose: Composer) -> None:
    arrays = {"images": np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)}
    if labels:
        arrays["labels"] = np.array(["b", "a"] * 10)
    np.savez("mine.npz", **arrays)
    agree(compose("finetune", ["data=npz", "data.path=mine.npz"])["data"])


def test_of_a_memmap(compose: Composer) -> None:
    Path("mine").mkdir()
    np.save("mine/images.npy", np.zeros((30, 4, 5), np.uint8))
    np.save("mine/labels.npy", np.arange(30) % 3)
    data = compose("finetune", ["data=memmap", "data.path=mine"])["data"]
    facts = info_of(data)
    assert (facts.shape, facts.classes) == ((1, 4, 5), ("0", "1", "2"))


@pytest.mark.parametrize("grey", ["true", "false"])
def test_of_a_folder_of_pictures(grey: str, compose: Composer) -> None:
    for name in ("x", "y"):
        (Path("pictures") / name).mkdir(parents=True)
        for number in range(6):
            Image.fromarray(np.full((7, 5), number, np.uint8)).save(f"pictures/{name}/{number}.png")
    agree(compose("finetune", ["data=image_folder", "data.path=pictures", f"data.grey={grey}"])["data"])


@pytest.mark.parametrize("experiment", ["mnist_2006", "olivetti_autoencoder", "easypr"])
def test_networks_are_described_where_there_are_no_data(
    experiment: str, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DBN_DATA", raising=False)
    monkeypatch.setattr("pooch.retrieve", lambda *_, **__: pytest.fail("it went to the network"))
    sizes = describe(compose("describe", [f"experiment={experiment}"])).sizes
    assert sizes[0] in (784, 1024, 400)


def test_of_a_file_that_is_not_there(compose: Composer) -> None:
    with pytest.raises(DataError, match=r"data\.path=nothing\.npz"):
        info_of(compose("finetune", ["data=npz", "data.path=nothing.npz"])["data"])
