"""Olivetti faces: upright, by person or by image, at the size asked for."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import loadmat, savemat

from dbn.data import load_data, olivetti
from dbn.data.sources.olivetti import _read
from dbn.errors import DataError, SettingError


def test_people_are_on_one_side_each(data_root: Path) -> None:
    source = olivetti(data_root)
    assert source.train_images.shape == (400, 1, 64, 64)
    assert source.train_labels is None
    data = load_data(source, validation=50, test=100)
    assert [len(images) for images in (data.train, data.validation, data.test)] == [250, 50, 100]
    whose = {image.numpy().tobytes(): place // 10 for place, image in enumerate(source.train_images)}
    people = [
        {whose[row.tobytes()] for row in images.pixels.numpy()} for images in (data.train, data.validation, data.test)
    ]
    assert [len(own) for own in people] == [25, 5, 10]
    assert len(set.union(*people)) == 40


def test_every_person_is_on_all_sides_where_images_are_split(data_root: Path) -> None:
    data = load_data(olivetti(data_root, split="image"), validation=80, test=80)
    assert len(data.classes) == 40
    for images, each in ((data.train, 6), (data.validation, 2), (data.test, 2)):
        assert torch.bincount(images.labels).tolist() == [each] * 40


def test_pixels_are_the_file_s_upright_and_averaged(data_root: Path) -> None:
    faces = loadmat(data_root / "olivetti" / "olivettifaces.mat")["faces"]
    images = olivetti(data_root).train_images
    assert images[7, 0, 3, 5] == faces[5 * 64 + 3, 7]  # MATLAB's order: columns first
    # Faces are nearly symmetric, left to right, and not at all top to bottom.
    mean = images.double().mean((0, 1))
    assert (mean - mean.flip(1)).abs().mean() < 0.5 * (mean - mean.flip(0)).abs().mean()
    small = olivetti(data_root, size=16).train_images
    assert small.shape == (400, 1, 16, 16)
    assert small[7, 0, 2, 3] == images[7, 0, 8:12, 12:16].double().mean()


@pytest.mark.parametrize("fields", [{"split": "people"}, {"size": 48}, {"size": 0}, {"size": 32.0}, {"size": 128}])
def test_settings_are_checked_before_anything_is_read(fields: dict[str, object]) -> None:
    key = next(iter(fields))
    with pytest.raises(SettingError, match=rf"data\.{key}={fields[key]!r}"):
        olivetti("nowhere", **fields)  # type: ignore[arg-type]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "x.mat", {"faces": np.zeros((400, 64, 64))})
    with pytest.raises(DataError, match=r"faces of shape \(400, 64, 64\), expected \(4096, 400\)"):
        _read(tmp_path / "x.mat")
    savemat(tmp_path / "y.mat", {"places": np.zeros((4096, 400))})
    with pytest.raises(DataError, match=r"y\.mat has no faces in it"):
        _read(tmp_path / "y.mat")
