"""What a model's visible units ask of the data that it is trained and tested on."""

from collections.abc import Mapping
from typing import Any

from dbn.data.images import DataSet
from dbn.data.intervals import Interval, check_interval
from dbn.errors import DataError
from dbn.models.units import Units


def check_data(data: DataSet, allowed: Interval, needed_by: str) -> None:
    """A data set must have images to train on, of the shape it says, and features that can be used, in every split.

    Args:
        data: what is going to be trained and tested on.
        allowed: values that features may have.
        needed_by: the setting that asks for it, for the message.

    Raises:
        DataError: it has not; said before anything is trained.
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
    """:func:`check_data`, for a model whose visible units are of the type ``visible``.

    Bernoulli units need features in [0, 1], rectified ones features from 0; Gaussian units take any.

    Raises:
        SettingError: no unit type is called so.
        DataError: as :func:`check_data`.
    """
    units, _ = Units.resolve(visible, "stack.visible")
    check_data(data, units.interval, f"stack.visible={units.kind}")
