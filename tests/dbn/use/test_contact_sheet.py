"""Contact sheets: what a person sees."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dbn.errors import SettingError
from dbn.use.contact_sheet import marked, write_sheet


def grey(*values: float) -> np.ndarray:
    return np.stack([np.full((1, 8, 8), value, np.float32) for value in values])


def cells(file: Path, side: int, columns: int) -> list[list[int]]:
    """Middle of each picture on a sheet, red, by row."""
    sheet = np.asarray(Image.open(file))[..., 0]
    middle = side // 2
    return [[int(sheet[y, x]) for x in range(middle, columns * side, side)] for y in range(middle, len(sheet), side)]


def test_small_pictures_are_shown_large_and_as_a_square(tmp_path: Path) -> None:
    write_sheet(tmp_path / "sheet.png", [grey(0, 0.2, 0.4, 0.6, 0.8)])
    sheet = Image.open(tmp_path / "sheet.png")
    assert sheet.size == (3 * 54, 2 * 54)  # six times as large, with lines between them
    assert cells(tmp_path / "sheet.png", 54, 3) == [[0, 51, 102], [153, 204, 255]]


def test_kinds_of_pictures_lie_below_each_other(tmp_path: Path) -> None:
    first, second = np.linspace(0, 0.5, 12), np.linspace(0.5, 1, 12)
    write_sheet(tmp_path / "sheet.png", [grey(*first), grey(*second)])
    rows = cells(tmp_path / "sheet.png", 54, 10)
    expected = [round(255 * value) for value in (*first, *second)]
    white = [255] * 8
    assert rows == [expected[:10], expected[12:22], [*expected[10:12], *white], [*expected[22:], *white]]


def test_missing_pixels_have_a_colour() -> None:
    holes = np.zeros((1, 1, 8, 8), bool)
    holes[0, 0, 4:] = True
    found = marked(grey(0.5), holes)
    assert found.shape == (1, 3, 8, 8)
    assert (found[0, :, :4] == 0.5).all()
    assert found[0, 2, 5, 0] > found[0, 0, 5, 0]


def test_what_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"2 channels.*\.npy"):
        write_sheet(tmp_path / "sheet.png", [np.zeros((3, 2, 8, 8), np.float32)])
    assert not list(tmp_path.iterdir())
