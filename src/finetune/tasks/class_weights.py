"""Weights of classes in the loss, for classes of unequal size: the setting ``training.class_weights``."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from dbn.data import DataSet
from dbn.errors import SettingError
from dbn.settings import check_number, format_value

BALANCED = "balanced"


def check_class_weights(wanted: Any) -> None:
    """Raise :class:`SettingError` unless ``wanted`` is None, ``balanced``, or a list of numbers from 0."""
    if wanted is None or wanted == BALANCED:
        return
    if not isinstance(wanted, Sequence) or isinstance(wanted, str) or not wanted:
        raise SettingError(
            f"training.class_weights={format_value(wanted)}: use {BALANCED}, a list with a number for each class, or "
            "null."
        )
    for weight in wanted:
        check_number("training.class_weights", weight, low=0)
    if not any(wanted):
        raise SettingError(f"training.class_weights={format_value(wanted)}: all are 0. Give one class a weight.")


def class_weights(wanted: str | Sequence[float], labels: Tensor, classes: Sequence[str]) -> Tensor:
    r"""Weight of each class, ``(n_classes,)`` float32.

    ``balanced`` is :math:`n / (k n_c)` for a class of :math:`n_c` of the ``n`` labelled images and ``k`` classes, so
    that all classes weigh the same and the mean weight of an image is 1; scikit-learn's ``class_weight="balanced"``.

    Args:
        wanted: ``balanced``, or a number for each class, which is taken as it is.
        labels: of the labelled training images, ``(n,)`` int64; each class has one at least.
        classes: names of the classes.

    Raises:
        SettingError: the list has another number of weights than there are classes.

    References:
        King & Zeng (2001), *Logistic regression in rare events data*, Political Analysis 9:137.
    """
    if isinstance(wanted, str):
        counts = torch.bincount(labels, minlength=len(classes)).double()
        return (len(labels) / (len(classes) * counts)).float()
    if len(wanted) != len(classes):
        raise SettingError(
            f"training.class_weights={format_value(list(wanted))}: there are {len(wanted)}, for {len(classes)} "
            f"classes: {', '.join(classes)}. Give a number for each, in this order."
        )
    return torch.tensor(wanted, dtype=torch.float32)


def weighted(data: DataSet, wanted: str | Sequence[float] | None) -> DataSet:
    """The data set with the weight of its class for each training image, on top of weights that images have already.

    Raises:
        SettingError: as :func:`class_weights`.
    """
    if wanted is None:
        return data
    labels = data.train.labels
    assert labels is not None  # a classifier is refused on data without labels
    weights = class_weights(wanted, labels.cpu(), data.classes).to(labels.device)[labels]
    own = data.train.weights
    return replace(data, train=data.train.weighted(weights if own is None else own * weights))
