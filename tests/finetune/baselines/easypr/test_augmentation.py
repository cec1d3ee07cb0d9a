"""Transformed copies that fill up small classes."""

import numpy as np

from finetune.baselines.easypr.augmentation import fill_classes, transform


def test_small_classes_are_filled_up_with_slightly_changed_images() -> None:
    random = np.random.default_rng(0)
    images = np.zeros((5, 20, 20), np.uint8)
    images[:, 8:12, 8:12] = 250
    labels = np.array([0, 0, 0, 0, 2])
    filled, filled_labels = fill_classes(images, labels, 4, random)
    assert np.bincount(filled_labels).tolist() == [4, 0, 4]
    assert np.array_equal(filled[:5], images)
    assert (filled_labels[:5] == labels).all()
    centres = [np.argwhere(transform(images[0], random) > 20).mean(0) for _ in range(100)]
    moved = np.abs(np.array(centres) - 9.5).max(1)
    assert 1.5 < moved.max() <= 2.1  # of a shift by 2
    dark_edge = np.full((20, 20), 77, np.uint8)
    assert np.array_equal(transform(dark_edge, random), dark_edge)  # what comes in is as grey as the edge
