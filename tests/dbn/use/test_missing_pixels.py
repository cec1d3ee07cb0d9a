"""Which pixels a mask says are missing."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dbn.errors import DataError, SettingError
from dbn.use.missing_pixels import missing_pixels


def test_a_box() -> None:
    found = missing_pixels([1, 2, 2, 1], (1, 4, 3)).reshape(4, 3)
    assert found.nonzero().tolist() == [[1, 2], [2, 2]]
    every_channel = missing_pixels([1, 2, 2, 1], (3, 4, 3)).reshape(3, 4, 3)
    assert every_channel.int().sum((1, 2)).tolist() == [2, 2, 2]
    assert not missing_pixels(None, (1, 4, 3)).any()


def test_a_picture_that_is_white_where_pixels_are_missing(tmp_path: Path) -> None:
    pixels = np.zeros((4, 3), np.uint8)
    pixels[3] = 255, 128, 127
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    found = missing_pixels(str(tmp_path / "mask.png"), (1, 4, 3)).reshape(4, 3)
    assert found.nonzero().tolist() == [[3, 0], [3, 1]]
    with pytest.raises(SettingError, match=r"mask=.*mask\.png: this picture is 3 x 4 pixels.*the images are 4 x 4"):
        missing_pixels(str(tmp_path / "mask.png"), (1, 4, 4))
    (tmp_path / "mask.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="cannot be read as an image"):
        missing_pixels(str(tmp_path / "mask.png"), (1, 4, 3))


@pytest.mark.parametrize("box", [[0, 0, 5, 1], [3, 0, 2, 1], [0, 3, 1, 1]])
def test_a_box_outside_the_images(box: list[int]) -> None:
    with pytest.raises(SettingError, match=r"mask=\[.*4 rows and 3 columns"):
        missing_pixels(box, (1, 4, 3))
