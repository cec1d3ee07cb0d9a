"""EasyPR's characters: what the archives hold, decoded as OpenCV decodes them, with nothing leaking into the test."""

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from dbn.data import Source, easypr, load_data
from dbn.data.sources.easypr import CLASSES, read_files
from dbn.errors import DataError


@pytest.fixture(scope="module")
def source() -> Source:
    if "DBN_DATA" not in os.environ or not (Path(os.environ["DBN_DATA"]) / "easypr" / "chars2.7z").is_file():
        pytest.skip("DBN_DATA is not set to a folder that holds easypr/chars2.7z")
    return easypr(os.environ["DBN_DATA"])


def test_every_pixel_is_as_opencv_decodes_it(source: Source, data_root: Path) -> None:
    """The derived file was written by OpenCV 5, in the order of classes and file names."""
    decoded = np.load(data_root / "easypr" / "easypr_chars_20x20.npz")
    assert np.array_equal(source.train_images.squeeze(1).numpy(), decoded["images"])
    assert np.array_equal(source.train_labels.numpy(), decoded["labels"])
    assert source.classes == tuple(decoded["names"].tolist()) == CLASSES


def test_groups_are_distinct_pictures(source: Source) -> None:
    assert source.train_images.shape == (16395, 1, 20, 20)
    distinct = {image.tobytes() for image in source.train_images.numpy()}
    assert len(distinct) == len(source.groups.unique()) == 13143
    # The most copies of one picture, counted when the archives were looked at first.
    assert torch.bincount(source.groups).max() == 10


def test_what_is_held_out_is_seen_nowhere_else_and_has_one_label(source: Source) -> None:
    data = load_data(source, validation=0.1, test=0.2)
    pictures = [
        [image.tobytes() for image in images.pixels.numpy()] for images in (data.train, data.validation, data.test)
    ]
    train, validation, test = (set(split) for split in pictures)
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert len(validation) == len(pictures[1]) == 1051  # a tenth of 10508, rounded up
    assert len(test) == len(pictures[2]) == 2628  # a fifth of the 13136 pictures that have one label
    assert all(len(images.labels.unique()) == 65 for images in (data.train, data.validation, data.test))
    labels: dict[bytes, set[int]] = {}
    for image, label in zip(source.train_images.numpy(), source.train_labels.tolist(), strict=True):
        labels.setdefault(image.tobytes(), set()).add(label)
    unclear = {image for image, own in labels.items() if len(own) > 1}
    assert len(unclear) == 7
    assert unclear <= train


def test_pictures_with_two_labels_are_told(data_root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        easypr(data_root)
    assert "16395 images of 13143 pictures; 7 of these (15 images) have several labels" in caplog.text


def test_folders_do_as_well_as_archives_but_not_with_other_content(
    source: Source, data_root: Path, tmp_path: Path
) -> None:
    for archive in ("chars2", "charsChinese"):
        for path, content in read_files(archive, data_root).items():
            (tmp_path / "easypr" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "easypr" / path).write_bytes(content)
    again = easypr(tmp_path)
    assert torch.equal(again.train_images, source.train_images)
    assert torch.equal(again.train_labels, source.train_labels)
    moved = next((tmp_path / "easypr/chars2/8").iterdir())
    shutil.move(moved, tmp_path / "easypr/chars2/B" / moved.name)
    with pytest.raises(DataError, match=r"chars2 does not hold what chars2\.7z does: 13163 images"):
        easypr(tmp_path)
