"""Checks that a data set matches a model's visible units."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dbn.data.allowed_values import ROUNDING, Interval, check_interval
from dbn.data.images import DataSet
from dbn.errors import DataError, SettingError
from dbn.models.units import Mixed, ReplicatedSoftmax, Units, make_units
from dbn.pretraining.settings import check_units

if TYPE_CHECKING:
    from dbn.data.shapes import DataInfo  # reads configurations, which fitting a stack has no use for


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


AS_DATA = "as_data"
"""Type of visible units that follows from the columns of a table."""


def visible_units_of(visible: str | Mapping[str, Any], data: "DataSet | DataInfo") -> str | Mapping[str, Any]:
    """Type of the visible units of a stack for ``data``: ``visible``, or for ``as_data`` what the table's columns are.

    Raises:
        SettingError: ``as_data`` of images, which do not say what they are.
    """
    if visible != AS_DATA:
        return visible
    if data.columns is None:
        raise SettingError(
            f"stack.visible={AS_DATA}: only the columns of a table say what they are, and data={data.name} is none. "
            "Use bernoulli, or gaussian with data.standardise=true."
        )
    return data.columns.units()


def check_visible(data: DataSet, visible: str | Mapping[str, Any]) -> None:
    """:func:`check_data` for visible units of the type ``visible``.

    Each feature must be a value that its unit can have, see :attr:`dbn.models.units.Units.interval`.

    Raises:
        SettingError: an unknown unit type.
        DataError: as :func:`check_data`.
    """
    check_units("stack.visible", visible)
    units = make_units(visible, data.shape, "stack.visible")
    check_data(data, units.interval, f"stack.visible={units.kind}")
    if isinstance(units, Mixed):
        check_parts(data, units)
    if isinstance(units, ReplicatedSoftmax):
        check_counts(data)


def check_counts(data: DataSet) -> None:
    """Check that features are whole numbers, of which each says how often something occurs.

    Raises:
        DataError: they are not.
    """
    for split, images in {"training": data.train, "validation": data.validation, "test": data.test}.items():
        for chunk in images.chunks() if len(images) else ():
            if (chunk != chunk.round()).any():
                raise DataError(
                    f"data={data.name}: stack.visible=replicated_softmax needs counts, and features of the {split} "
                    "images are fractions. Say that stored values are counts, data.maximum=counts, or use "
                    "stack.visible=bernoulli."
                )


def check_parts(data: DataSet, units: Units) -> None:
    """Check every feature by the bounds of its own unit.

    Raises:
        DataError: a feature lies outside.
    """
    low, high = units.bounds()
    for split, images in {"training": data.train, "validation": data.validation, "test": data.test}.items():
        for chunk in images.chunks() if len(images) else ():
            outside = ((chunk < low - ROUNDING) | (chunk > high + ROUNDING)).any(0)
            if outside.any():
                place = int(outside.nonzero()[0])
                raise DataError(
                    f"data={data.name}: feature {place} (counted from 0) of the {split} images is outside of "
                    f"{float(low[place]):g} to {float(high[place]):g}, which its part of stack.visible=mixed needs. "
                    "Give it a part of another kind, or scale it."
                )
