"""Features of EasyPR's recogniser against values worked out by hand."""

import numpy as np
import pytest

from dbn.errors import DataError
from finetune.baselines.easypr.character_features import easypr_features


def test_features_by_hand() -> None:
    """A bar of 4 x 8 pixels, in a corner: it moves to rows 6 to 13, columns 8 to 11, so to 4 x 2 of the small image."""
    image = np.zeros((1, 20, 20), np.uint8)
    image[0, 0:8, 16:20] = 200
    image[0, 0:2, 16:18] = 21  # still ink, and above the threshold after averaging too
    (features,) = easypr_features(image)
    columns, rows, small = features[:10], features[10:20], features[20:].reshape(10, 10)
    assert columns.tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0]
    assert rows.tolist() == [0, 0, 0, 1, 1, 1, 1, 0, 0, 0]
    assert small[3:7, 4:6].tolist() == [[21, 200], [200, 200], [200, 200], [200, 200]]
    assert small.sum() == 21 + 7 * 200


def test_projections_are_relative_and_squares_are_rounded() -> None:
    image = np.zeros((20, 20), np.uint8)
    image[:, 0] = image[:, 19] = image[0, :] = 90  # ink up to every edge: nothing moves
    (features,) = easypr_features(image[None])
    assert features[20] == 68  # (3 * 90 + 0 + 2) // 4
    assert features[21] == 45
    assert features[:10].tolist() == [1, *[0.1] * 8, 1]
    assert features[10:20].tolist() == [1, *[0.2] * 9]


def test_a_character_s_place_does_not_matter() -> None:
    random = np.random.default_rng(0)
    character = random.integers(21, 256, (9, 6)).astype(np.uint8)
    images = np.zeros((3, 20, 20), np.uint8)
    for image, (y, x) in zip(images, [(0, 0), (11, 14), (4, 7)], strict=True):
        image[y : y + 9, x : x + 6] = character
    features = easypr_features(images)
    assert np.array_equal(features[0], features[1])
    assert np.array_equal(features[0], features[2])


def test_an_empty_image_has_features_of_zero_and_other_images_are_refused() -> None:
    assert not easypr_features(np.zeros((1, 20, 20), np.uint8)).any()
    with pytest.raises(DataError, match=r"images of 20 x 20 bytes, not uint8 of \(28, 28\)"):
        easypr_features(np.zeros((1, 28, 28), np.uint8))
