"""A few images of each part of a data set, for runs that only show whether they run at all."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from dbn.data.images import DataSet, StoredImages

MOST = 1000
"""Images of each part that remain."""


def is_fast(trainer: Mapping[str, Any]) -> bool:
    """Whether the group ``trainer`` asks for a single block of each stage: ``fast_dev_run``, as by ``debug=fast``."""
    return trainer.get("fast_dev_run") in (True, 1)  # equal in Python; 2 blocks may need more images


def few_images(data: DataSet) -> DataSet:
    """The data set with at most :data:`MOST` images of each part, in even steps, so that sorted classes all remain.

    Passing all images upwards, evaluating them, and computing baselines takes far longer than a block does.
    """
    steps = even_steps(len(data.test))
    return replace(
        data,
        train=few_of(data.train),
        validation=few_of(data.validation),
        test=few_of(data.test),
        spare=None if data.spare is None else few_of(data.spare),
        test_index=steps if data.test_index is None else data.test_index[steps],
        test_names=tuple(data.test_names[k] for k in steps.tolist()) if data.test_names else (),
    )


def few_of(images: StoredImages) -> StoredImages:
    """At most :data:`MOST` of the images, in memory."""
    return images if len(images) <= MOST else images.take(even_steps(len(images)))


def even_steps(n: int) -> Tensor:
    """Numbers of at most :data:`MOST` of ``n`` images, ``(min(n, MOST),)`` int64."""
    kept = min(n, MOST)
    return torch.arange(kept) * n // max(1, kept)
