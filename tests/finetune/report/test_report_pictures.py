import base64
import io

import numpy as np
import pytest
from PIL import Image

from finetune.report.pictures import filter_pixels, image_pixels, read_gallery
from finetune.report.read import read_study


def test_zero_is_mid_grey_and_each_filter_has_its_own_scale():
    filters = np.zeros((3, 2, 2))
    filters[0, 0, 0], filters[1, 1, 1], filters[1, 0, 0] = 5.0, -0.01, 0.005
    pixels = filter_pixels(filters)
    assert pixels.shape == (3, 2, 2, 3)
    assert pixels[0, 0, 0, 0] == 255
    assert pixels[1, 1, 1, 0] == 0
    assert pixels[1, 0, 0, 0] == 191  # half way from mid-grey to white: 0.75 * 255
    assert set(pixels[2].ravel()) == {128}


def test_colours_and_values_outside_the_range():
    images = np.zeros((1, 3, 1, 2))
    images[0, 1, 0] = (2.0, np.nan)
    assert image_pixels(images)[0, 0].tolist() == [[0, 255, 0], [0, 0, 0]]
    with pytest.raises(ValueError, match="expected"):
        image_pixels(np.zeros((2, 3)))


def test_gallery_of_a_run(study):
    directory = study.run("dbn", 0, 0.1)
    rng = np.random.default_rng(0)
    np.savez(
        directory / "pictures.npz",
        filters_start=rng.normal(size=(100, 8, 8)),
        filters=rng.normal(size=(4, 3, 8, 8)),
        images=np.ones((20, 1, 8, 8)),
        reconstructions=np.zeros((20, 1, 8, 8)),
        samples=rng.random((7, 1, 8, 8)),
    )
    gallery = read_gallery(read_study(study.directory).runs[0])
    assert [picture.caption for picture in gallery.filters] == ["before fine-tuning", "after fine-tuning"]
    (picture,) = gallery.reconstructions
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.uri.partition(",")[2]))))
    assert pixels.shape == (picture.height, picture.width)
    assert pixels[0, 0] == 255  # images above
    assert pixels[-1, 0] == 0  # reconstructions below
    assert len(gallery.samples) == 1


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"no archive at all"])
def test_a_damaged_file_is_a_complaint(study, content):
    directory = study.run("dbn", 0, 0.1)
    (directory / "pictures.npz").write_bytes(content)
    gallery = read_gallery(read_study(study.directory).runs[0])
    assert "finetune/dbn_seed0/pictures.npz cannot be read" in gallery.complaint


def test_objects_are_never_unpickled(study):
    directory = study.run("dbn", 0, 0.1)
    np.savez(directory / "pictures.npz", filters=np.array([{"a": 1}], dtype=object))
    assert read_gallery(read_study(study.directory).runs[0]).complaint
