"""Which kind a table's columns are: as they look, or as a person says."""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dbn.data.tables.columns import BINARY, CATEGORY, NUMBER, ORDER, Column, Columns, Value
from dbn.errors import DataError, SettingError
from dbn.settings import check_choice, suggestion

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

LEAVE_OUT = "leave_out"
KINDS = (*ORDER, LEAVE_OUT)
"""What ``data.columns.<name>`` may be."""
MOST_TEXTS = 50
"""Number of different texts up to which a column of texts is one of categories, whatever the number of rows."""
MOST_CLASSES = 20
"""Number of different whole numbers up to which a target of whole numbers is one of classes."""


def find_columns(frame: "pd.DataFrame", given: Mapping[str, str], targets: Sequence[str]) -> Columns:
    """The columns of a table that are inputs.

    A column of two different values is ``binary``, one of numbers ``number``, one of texts ``category``. Columns with a
    single value, or none, are left out.

    Args:
        frame: the table.
        given: kinds of columns by name, where they are not those that are found; ``leave_out`` is one.
        targets: names of the columns to predict.

    Raises:
        SettingError: ``given`` or ``targets`` names no column, or an unknown kind.
        DataError: a column is of another type, has as many different texts as an index, or does not fit its kind; or no
            column is left.
    """
    names = [str(name) for name in frame.columns]
    for key, wanted in (("data.target", targets), ("data.columns", given)):
        for name in wanted:
            if name not in names:
                raise SettingError(
                    f"{key}={name}: the table has no such column.{suggestion(name, names)} It has {', '.join(names)}."
                )
    for name, kind in given.items():
        check_choice(f"data.columns.{name}", kind, KINDS)
    found = []
    for name in names:
        if name in targets or given.get(name) == LEAVE_OUT:
            continue
        values = distinct(frame[name])
        if len(values) < 2:
            log.info("Column %r has %s: it is left out.", name, "a single value" if values else "no values")
            continue
        kind = given.get(name) or _kind(name, frame[name], values)
        if kind == BINARY and len(values) != 2:
            raise DataError(
                f"data.columns.{name}=binary: the column has {len(values)} different values. Use "
                f"{'number or ' if _is_numeric(frame[name]) else ''}category."
            )
        found.append(Column(name, kind, () if kind == NUMBER else values))
    if not found:
        raise DataError(f"the table has no column to learn from: {', '.join(names)}. Give it one besides the target.")
    return Columns(tuple(sorted(found, key=lambda column: ORDER.index(column.kind))))


def is_class(name: str, values: "pd.Series[Any]", given: Mapping[str, str]) -> bool:
    """Whether a target column holds classes, not numbers: texts, two values, or up to twenty whole numbers.

    ``data.columns.<name>`` decides otherwise: ``category`` or ``number``.

    Raises:
        SettingError: another kind is given for it.
    """
    kind = given.get(name)
    if kind is not None:
        check_choice(f"data.columns.{name}", kind, (NUMBER, CATEGORY))
        return kind == CATEGORY
    found = distinct(values)
    if not _is_numeric(values) or len(found) == 2:
        return True
    return len(found) <= MOST_CLASSES and all(float(value).is_integer() for value in found)


def distinct(values: "pd.Series[Any]") -> tuple[Value, ...]:
    """The different values that are there, sorted, as Python's own types."""
    found = [value.item() if isinstance(value, np.generic) else value for value in values.dropna().unique()]
    try:
        return tuple(sorted(found))
    except TypeError:  # numbers and texts in one column
        return tuple(sorted(found, key=str))


def _is_numeric(values: "pd.Series[Any]") -> bool:
    return values.dtype.kind in "iuf"


def _kind(name: str, values: "pd.Series[Any]", found: tuple[Value, ...]) -> str:
    """The kind of a column as it looks."""
    if len(found) == 2:
        return BINARY
    if _is_numeric(values):
        return NUMBER
    if not all(isinstance(value, str | int | float) for value in found):
        raise DataError(
            f"column {name!r} holds values of type {type(found[0]).__name__}. Convert it to numbers or texts, or leave "
            f"it out: data.columns.{name}=leave_out."
        )
    if len(found) > MOST_TEXTS and 2 * len(found) > len(values):
        raise DataError(
            f"column {name!r} holds {len(found)} different texts in {len(values)} rows, which looks like names or an "
            f"index. Say data.columns.{name}=leave_out, or category if these are categories."
        )
    return CATEGORY
