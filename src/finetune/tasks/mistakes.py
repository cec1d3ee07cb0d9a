"""The test images that a classifier is wrong about with most conviction."""

from typing import Any

import numpy as np
from torch import Tensor

from dbn.data import DataSet

MOST = 20
"""Largest number of images that are kept."""


def worst_mistakes(data: DataSet, predicted: Tensor, probabilities: Tensor) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Misclassified test images, the one of the most probable wrong class first.

    Args:
        data: whose test images have labels.
        predicted: their predicted classes, ``(n_test,)``.
        probabilities: of all classes, ``(n_test, n_classes)``.

    Returns:
        ``index`` in the source, ``name`` (None: it has none), ``label``, ``predicted`` and ``probability`` of at most
        20 images; and the images, ``(m, channels, height, width)`` in [0, 1].
    """
    assert data.test.labels is not None
    labels, predicted = data.test.labels.cpu(), predicted.cpu()
    taken = probabilities.cpu().gather(1, predicted[:, None]).squeeze(1)
    wrong = (predicted != labels).nonzero().squeeze(1)
    worst = wrong[taken[wrong].argsort(descending=True, stable=True)][:MOST]
    index = worst if data.test_index is None else data.test_index.cpu()[worst]
    facts = [
        {
            "index": int(index[number]),
            "name": data.test_names[k] if data.test_names else None,
            "label": int(labels[k]),
            "predicted": int(predicted[k]),
            "probability": float(taken[k]),
        }
        for number, k in enumerate(worst.tolist())
    ]
    pictures = data.to_pixels(data.test.features(worst.to(data.test.device)))
    return facts, pictures.cpu().numpy()
