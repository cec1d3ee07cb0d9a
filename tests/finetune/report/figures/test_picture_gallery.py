"""Mosaics of a run's pictures."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from dbn.errors import DataError
from finetune.report.figures.picture_gallery import make_gallery, picture_galleries
from finetune.report.results.study import read_study


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
    gallery = make_gallery(read_study(study.directory).runs[0])
    assert [picture.caption for picture in gallery.filters] == ["before fine-tuning", "after fine-tuning"]
    (picture,) = gallery.reconstructions
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.uri.partition(",")[2]))))
    assert pixels.shape == (picture.height, picture.width)
    assert pixels[0, 0] == 255  # images above
    assert pixels[-1, 0] == 0  # reconstructions below
    assert len(gallery.samples) == 1


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"no archive at all"])
def test_a_damaged_file_is_named(study, content):
    directory = study.run("dbn", 0, 0.1)
    (directory / "pictures.npz").write_bytes(content)
    galleries, (error,) = picture_galleries(read_study(study.directory), None)
    assert galleries == []
    assert "finetune/dbn_seed0/pictures.npz cannot be read" in error


def test_objects_are_never_unpickled(study):
    directory = study.run("dbn", 0, 0.1)
    np.savez(directory / "pictures.npz", filters=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="cannot be read"):
        make_gallery(read_study(study.directory).runs[0])
