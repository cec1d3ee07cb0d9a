"""Crops and mirror images against slices of numpy's padded arrays."""

import numpy as np
import pytest
import torch

from dbn.data.augment import Augment
from dbn.data.crop_flip import crop_and_flip
from dbn.random.streams import stream

SHAPE = (3, 5, 7)
N = 20_000


def candidates(image: np.ndarray, padding: int) -> dict[bytes, tuple[int, int, bool]]:
    """Every crop of a padded image ``(channels, height, width)``, as it is and mirrored, by its bytes."""
    _, height, width = image.shape
    padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)), mode="edge")
    found = {}
    for top in range(2 * padding + 1):
        for left in range(2 * padding + 1):
            crop = padded[:, top : top + height, left : left + width]
            found[np.ascontiguousarray(crop).tobytes()] = (top, left, False)
            found[np.ascontiguousarray(crop[:, :, ::-1]).tobytes()] = (top, left, True)
    return found


@pytest.mark.parametrize(("padding", "probability"), [(2, 0.3), (1, 0.0), (0, 0.5), (2, 1.0)])
def test_every_place_is_equally_likely_and_mirrored_as_often_as_asked(padding: int, probability: float) -> None:
    image = torch.rand(SHAPE, generator=stream(0, "image"))
    batch = image.flatten().expand(N, -1)
    changed = crop_and_flip(batch, SHAPE, padding, probability, stream(0, "augment"))
    known = candidates(image.numpy(), padding)
    places = [known[own.numpy().tobytes()] for own in changed]  # a KeyError if it is none of them
    n_places = (2 * padding + 1) ** 2
    counts = dict.fromkeys({(top, left) for top, left, _ in known.values()}, 0)
    for top, left, _ in places:
        counts[top, left] += 1
    assert len(counts) == n_places
    error = (N / n_places * (1 - 1 / n_places)) ** 0.5
    assert max(abs(count - N / n_places) for count in counts.values()) <= 4 * error
    mirrored = sum(flipped for _, _, flipped in places)
    assert abs(mirrored - N * probability) <= 4 * (N * probability * (1 - probability)) ** 0.5


def test_places_and_mirrors_are_drawn_apart() -> None:
    """Down, right and mirrored do not depend on each other: correlations within four standard errors of none."""
    image = torch.rand(SHAPE, generator=stream(0, "image"))
    changed = crop_and_flip(image.flatten().expand(N, -1), SHAPE, 2, 0.5, stream(1, "augment"))
    known = candidates(image.numpy(), 2)
    drawn = np.array([known[own.numpy().tobytes()] for own in changed], dtype=float)
    correlations = np.corrcoef(drawn.T)
    assert np.abs(correlations[np.triu_indices(3, 1)]).max() < 4 / N**0.5
    following = np.corrcoef(drawn[:-1].T, drawn[1:].T)[:3, 3:]
    assert np.abs(following).max() < 4.5 / N**0.5


def test_each_image_of_a_batch_keeps_its_own_pixels() -> None:
    images = torch.rand(50, *SHAPE, generator=stream(0, "image"))
    changed = Augment(crop=2, flip=0.5)(images.flatten(1), SHAPE, stream(0, "augment"))
    for image, own in zip(images, changed, strict=True):
        assert own.numpy().tobytes() in candidates(image.numpy(), 2)
