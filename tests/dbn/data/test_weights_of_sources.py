"""Weights of images from files: read with their images, split with them, every fault named, known to runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse
import torch

from dbn.data import DataSet, Source, load_data, mat, memmap, npz, table
from dbn.data.content import content_of
from dbn.data.load import load_splits
from dbn.errors import DataError, SettingError
from dbn.pretraining.check_config import check_data
from dbn.pretraining.stack_identity import stack_name
from dbn.runs.identity import run_identity, with_content
from helpers import Composer

N = 40
LABELS = np.arange(N) % 2
WEIGHTS = np.linspace(0, 2, N)
"""Increasing, so that each says which image it is of."""
IMAGES = np.repeat(np.arange(N, dtype=np.uint8)[:, None] * 6, 4, 1).reshape(N, 2, 2)


def of_npz(folder: Path, weights: Any = WEIGHTS, name: str | None = "w") -> Any:
    np.savez(folder / "mine.npz", images=IMAGES, labels=LABELS, w=weights)
    return npz(folder / "mine.npz", 255, weights=name)


def of_mat(folder: Path, weights: Any = WEIGHTS, name: str | None = "w") -> Any:
    scipy.io.savemat(folder / "mine.mat", {"images": IMAGES, "labels": LABELS, "w": weights})
    return mat(folder / "mine.mat", 255, weights=name, images_last=False)


def of_memmap(folder: Path, weights: Any = WEIGHTS, name: str | None = "w") -> Any:
    for own, array in (("images", IMAGES), ("labels", LABELS), ("w", weights)):
        np.save(folder / f"{own}.npy", array)
    return memmap(folder, 255, weights=name)


def of_table(folder: Path, weights: Any = WEIGHTS, name: str | None = "w") -> Any:
    frame = pd.DataFrame({"a": np.arange(N), "b": np.arange(N) % 3, "y": LABELS, "w": weights})
    frame.to_csv(folder / "mine.csv", index=False)
    return table(folder / "mine.csv", "y", weights=name)


READERS: list[Callable[..., Any]] = [of_npz, of_mat, of_memmap, of_table]


def numbers(data: DataSet, split: str) -> torch.Tensor:
    """Which images a split has, by their features."""
    first = getattr(data, split).features()[:, 0]
    if data.columns is None:
        return (first * 255 / 6).round()
    return (first / data.train.factor[0] + data.train.offset[0]).round()


@pytest.mark.parametrize("reader", READERS)
def test_weights_stay_with_their_images_in_every_split(reader: Callable[..., Any], tmp_path: Path) -> None:
    data = load_data(reader(tmp_path), validation=8, test=8)
    for split, n in (("train", 24), ("validation", 8), ("test", 8)):
        weights = getattr(data, split).weights
        assert weights.dtype == torch.float32
        expected = torch.from_numpy(WEIGHTS)[numbers(data, split).long()].float()
        assert len(weights) == n
        torch.testing.assert_close(weights, expected)


@pytest.mark.parametrize("reader", READERS)
def test_without_a_name_there_are_none(reader: Callable[..., Any], tmp_path: Path) -> None:
    data = load_data(reader(tmp_path, name=None), validation=8, test=8)
    assert data.train.weights is None
    assert data.validation.weights is None


def test_a_column_of_weights_is_no_input(tmp_path: Path) -> None:
    assert load_data(of_table(tmp_path)).columns.names == ["a", "b"]
    assert load_data(of_table(tmp_path, name=None)).columns.names == ["a", "b", "w"]


def test_splits_of_several_seeds_have_their_own(tmp_path: Path) -> None:
    one, other = load_splits(of_npz(tmp_path), [0, 1], validation=8, test=8)
    for data in (one, other):
        torch.testing.assert_close(data.train.weights, torch.from_numpy(WEIGHTS)[numbers(data, "train").long()].float())
    assert not torch.equal(one.train.weights, other.train.weights)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.where(WEIGHTS == 0, -3.0, WEIGHTS), r"hold -3\.0, that of image 0"),
        (np.where(WEIGHTS == 2, np.inf, WEIGHTS), r"hold inf, that of image 39"),
        (np.where(WEIGHTS == 2, np.nan, WEIGHTS), r"hold nan, that of image 39"),
        (0 * WEIGHTS, r"are all 0"),
    ],
)
def test_what_are_no_weights_is_refused(reader: Callable[..., Any], weights: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        load_data(reader(tmp_path, weights), validation=8, test=8)


@pytest.mark.parametrize("reader", READERS)
def test_a_wrong_name_is_refused_with_those_that_there_are(reader: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises((DataError, SettingError), match=r"data\.weights=v: .*\bw\b.*null"):
        load_data(reader(tmp_path, name="v"), validation=8, test=8)


@pytest.mark.parametrize("reader", [of_npz, of_memmap])
def test_a_wrong_number_of_weights_is_refused(reader: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"have shape \(7,\), but there are 40 images"):
        reader(tmp_path, WEIGHTS[:7])
    with pytest.raises(DataError, match="of type <U1"):
        reader(tmp_path, np.full(N, "a"))
    with pytest.raises(DataError, match=r"train_weights have shape \(7,\)"):
        Source("mine", torch.zeros(N, 1, 2, 2), train_weights=torch.ones(7))


def test_other_faults_of_tables_and_sparse_matrices(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'w' holds"):
        load_data(of_table(tmp_path, np.full(N, "a")))
    with pytest.raises(SettingError, match=r"data\.weights=y: this is the column to predict"):
        load_data(of_table(tmp_path, name="y"))
    scipy.sparse.save_npz(tmp_path / "sparse.npz", scipy.sparse.csr_matrix(np.eye(5)))
    with pytest.raises(DataError, match=r"data\.weights=w: .*sparse matrix.*null"):
        npz(tmp_path / "sparse.npz", weights="w")


@pytest.mark.parametrize("choice", ["npz", "memmap", "table", "mat", "digits", "mnist"])
def test_without_weights_runs_and_stacks_are_those_of_earlier_versions(choice: str, compose: Composer) -> None:
    config = compose("finetune", [f"data={choice}"])
    earlier = {**config, "data": {key: value for key, value in config["data"].items() if key != "weights"}}
    earlier["data"]["source"] = {key: own for key, own in config["data"]["source"].items() if key != "weights"}
    assert earlier["data"] != config["data"]
    assert run_identity(earlier) == run_identity(config)
    assert stack_name(earlier) == stack_name(config)


def test_weights_are_part_of_what_a_run_is(compose: Composer, tmp_path: Path) -> None:
    """Their name, and by the content of the file their values."""
    of_npz(tmp_path)
    overrides = ["data=npz", f"data.path={tmp_path}/mine.npz", "data.maximum=255"]
    plain, weighted = compose("finetune", overrides), compose("finetune", [*overrides, "data.weights=w"])
    assert weighted["data"]["source"]["weights"] == "w"
    assert stack_name(with_content(plain)) != stack_name(with_content(weighted))
    before = content_of(tmp_path / "mine.npz")
    of_npz(tmp_path, WEIGHTS + 1)
    assert content_of(tmp_path / "mine.npz") != before


@pytest.mark.parametrize("choice", ["digits", "mnist", "image_folder", "wine"])
def test_sources_that_have_none_refuse_them(choice: str, compose: Composer) -> None:
    config = compose("pretrain", [f"data={choice}", "data.weights=w"])
    with pytest.raises(SettingError, match=rf"data\.weights=w: data={choice} has no weights.*null; data=npz, mat"):
        check_data(config["data"])
