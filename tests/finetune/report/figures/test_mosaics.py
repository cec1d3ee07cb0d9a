"""Pixels of filters and images."""

import numpy as np
import pytest

from finetune.report.figures.mosaics import filter_pixels, image_pixels


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
