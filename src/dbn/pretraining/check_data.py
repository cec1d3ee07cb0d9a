"""Checks that a data set matches a model's visible units."""

from collections.abc import Mapping
from typing import Any

from dbn.data.allowed_values import Interval, check_interval
from dbn.data.images import DataSet
from dbn.errors import DataError
from dbn.models.units import Units


def check_data(data: DataSet, allowed: Interval, needed_by: str) -> None:
    """Check that there are training images, and shapes and ranges of features in every split.

    Args:
        data: the data set.
        allowed: values that features may have.
        needed_by: the setting that requires them, for the message.

    Raises:
        DataError: the data do not meet these requirements.
    """
    splits = {"training": data.train, "validation": data.validation, "test": data.test}
    if not len(data.train):
        raise DataError(f"data={data.name}: there are no training images.")
    for split, images in splits.items():
        if images.n_features != data.n_features:
            raise DataError(
                f"data={data.name}: the {split} images have {images.n_features} features each, but images of "
                f"shape {data.shape} have {data.n_features}."
            )
    check_interval(splits, allowed, data_name=data.name, needed_by=needed_by)


def check_visible(data: DataSet, visible: str | Mapping[str, Any]) -> None:
    """:func:`check_data` for visible units of the type ``visible``.

    Bernoulli units require features in [0, 1], rectified units non-negative ones, Gaussian units any finite ones.

    Raises:
        SettingError: an unknown unit type.
        DataError: as :func:`check_data`.
    """
    units, _ = Units.resolve(visible, "stack.visible")
    check_data(data, units.interval, f"stack.visible={units.kind}")
