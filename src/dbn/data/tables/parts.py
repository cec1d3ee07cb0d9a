"""Rows of a table that a trained model is applied to, read by the columns that the model knows."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from dbn.data.images import Images
from dbn.data.parts import ALL, Part, no_images, no_seed
from dbn.data.tables.columns import CATEGORY, Columns
from dbn.data.tables.load import split_rows
from dbn.data.tables.source import TableSource, class_names
from dbn.errors import DataError, SettingError
from dbn.settings import suggestion

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)
UNKNOWN = -1
"""Class number of a row whose class is not known."""


@dataclass(frozen=True, eq=False)
class TableParts:
    """Rows to apply a model to.

    Attributes:
        part: the rows, stored as the model's columns are, NaN where missing. Labels are numbers of ``classes``
            (``UNKNOWN`` where missing), or values of ``targets`` ``(n, n_targets)`` (NaN where missing), or None.
        frame: all rows of the table.
        classes: names of the classes that the table has; empty without these.
        targets: names of the values to predict; empty without these.
    """

    part: Part
    frame: "pd.DataFrame"
    classes: tuple[str, ...]
    targets: tuple[str, ...]


def parts_of_table(
    source: TableSource, columns: Columns, split: str = ALL, *, split_seed: int | None = None,
    validation: int | float | None = 0.2, test: int | float = 0.2,
) -> TableParts:  # fmt: skip
    """The rows of a table in its order, or those of one split, read by a model's columns.

    Columns may be in any order, and others are ignored, which is logged. Values to predict may be missing, all or some.

    Args:
        source: the table; where it names columns to predict, these are the model's targets, whatever their names.
        columns: of the model.
        split: as in :func:`dbn.data.parts.parts_of`.
        split_seed: likewise.
        validation: likewise.
        test: likewise.

    Raises:
        DataError: an input column is missing, or a value is none of its column's.
        SettingError: ``source`` names a column that is not there; or as :func:`dbn.data.parts.parts_of`.
    """
    names = _targets(source, columns)
    used = {*columns.names, *(column.name for column in columns.targets), *names, source.weights}
    others = [str(name) for name in source.frame.columns if name not in used]
    if others:
        log.info("Columns of data=%s that the model does not take are ignored: %s.", source.name, ", ".join(others))
    try:
        stored = columns.encoded(source.frame)
        labels, classes = _labels(source.frame, columns, names)
    except DataError as error:
        raise DataError(f"data={source.name}: {error}") from error
    targets = () if classes else names
    images = Images.of(stored, labels)
    if split == ALL:
        return TableParts(Part("train", images, torch.arange(len(stored))), source.frame, classes, targets)
    if split_seed is None:
        raise no_seed(split, source.name)
    index = split_rows(source, split_seed, validation=validation, test=test)[split]
    if not len(index):
        raise no_images(split, source.name)
    return TableParts(Part(split, images.take(index), index, in_order=False), source.frame, classes, targets)


def _targets(source: TableSource, columns: Columns) -> tuple[str, ...]:
    """Names of the table's columns to predict, in the model's order; empty where there are none.

    Raises:
        SettingError: a column that is named is not there, or the model predicts another number of them.
    """
    own = tuple(column.name for column in columns.targets)
    if not source.target or source.target == own:
        return own if own and all(name in source.frame for name in own) else ()
    there = list(source.frame.columns)
    for name in source.target:
        if name not in there:
            raise SettingError(
                f"data.target={name}: the table has no such column.{suggestion(name, there)} Leave data.target away "
                "where the values to predict are not known."
            )
    if len(source.target) != len(own):
        raise SettingError(
            f"data.target: {', '.join(source.target)} are {len(source.target)} columns, and the model has "
            f"{len(own)} to predict{': ' if own else ''}{', '.join(own)}. Name as many."
        )
    return source.target


def _labels(frame: "pd.DataFrame", columns: Columns, names: tuple[str, ...]) -> tuple[Tensor | None, tuple[str, ...]]:
    """Labels of the rows, and names of classes."""
    if not names:
        return None, ()
    if columns.targets[0].kind != CATEGORY:
        found = [column.encoded(np.asarray(frame[name])) for column, name in zip(columns.targets, names, strict=True)]
        return torch.from_numpy(np.concatenate(found, axis=1)), ()
    values = frame[names[0]]
    known = values.notna().to_numpy()
    if not known.any():
        return None, ()
    classes, numbers = np.unique(class_names(values[known]), return_inverse=True)
    labels: np.ndarray[Any, np.dtype[np.int64]] = np.full(len(frame), UNKNOWN)
    labels[known] = numbers
    return torch.from_numpy(labels), tuple(str(name) for name in classes.tolist())
