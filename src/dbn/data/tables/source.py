"""The rows of a table as a reader of files returns them, before splitting."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dbn.data.image_weights import checked_weights
from dbn.data.split.label_subset import encode_labels, normalise_labels
from dbn.data.tables.columns import CATEGORY, NUMBER, Column, Columns
from dbn.data.tables.find_columns import distinct, find_columns, is_class
from dbn.errors import DataError, SettingError
from dbn.settings import suggestion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd


@dataclass(frozen=True, eq=False)
class TableRows:
    """The rows of a table, encoded by the columns that are found in it.

    Attributes:
        stored: ``(n, n_features)`` float32, as :meth:`Columns.encoded` gives them: NaN where missing.
        columns: the columns that are inputs, and those to predict.
        labels: ``(n,)`` int64 class numbers; ``(n, n_targets)`` float32 values to predict; or None.
        classes: names of the classes; empty without classes.
        targets: names of the values to predict; empty without these.
        weights: ``(n,)`` float32, how much each row counts in training; None: all the same.
    """

    stored: Tensor
    columns: Columns
    labels: Tensor | None
    classes: tuple[str, ...]
    targets: tuple[str, ...]
    weights: Tensor | None = None


@dataclass(frozen=True, eq=False)
class TableSource:
    """A table as it was read; made by :meth:`of`.

    Training finds its columns, see :attr:`rows`; a trained model reads it by the columns that it knows, see
    :func:`dbn.data.tables.parts.parts_of_table`.

    Attributes:
        name: name of the data in messages and results.
        frame: the table.
        target: names of the columns to predict; empty: none.
        given: kinds of columns by name, where they are not as found.
        weights: name of the column of the rows' weights, which is no input; None: there is none.
    """

    name: str
    frame: "pd.DataFrame"
    target: tuple[str, ...]
    given: "Mapping[str, str]"
    weights: str | None = None

    @classmethod
    def of(
        cls, frame: "pd.DataFrame", target: "str | Sequence[str] | None" = None,
        columns: "Mapping[str, str] | None" = None, name: str = "table", weights: str | None = None,
    ) -> "TableSource":  # fmt: skip
        """The rows of a table.

        Args:
            frame: the table; missing values are NaN, None or NaT.
            target: name of the column to predict, or of several, which must be numbers; None: none.
            columns: kinds of columns by name, where they are not as found, see
                :func:`dbn.data.tables.find_columns.find_columns`.
            name: name of the data.
            weights: name of the column that says how much each row counts in training, numbers from 0; None: there is
                none.

        Raises:
            DataError: there is no row, or two columns have one name.
        """
        frame = frame.rename(columns=str)
        twice = frame.columns[frame.columns.duplicated()]
        if len(twice):
            raise DataError(f"data={name}: two columns are called {twice[0]!r}. Give each a name of its own.")
        if not len(frame):
            raise DataError(f"data={name}: the table has no rows. Give at least one, two to train on.")
        wanted = () if target is None else (target,) if isinstance(target, str) else tuple(target)
        return cls(name, frame, wanted, {} if columns is None else dict(columns), weights)

    @cached_property
    def rows(self) -> TableRows:
        """The rows, encoded for training.

        Raises:
            DataError: there are fewer than two rows, a column cannot be read, or a target is missing in a row.
            SettingError: a column that is named does not exist.
        """
        where, names = f"data={self.name}", list(self.target)
        if len(self.frame) < 2:
            raise DataError(f"{where}: the table has {len(self.frame)} rows. Give at least two.")
        try:
            weights = self._weights()
            inputs = self.frame if weights is None else self.frame.drop(columns=[self.weights])
            found = find_columns(inputs, self.given, names)
            stored = found.encoded(self.frame)
            labels, classes, targets = _target(self.frame, names, self.given)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        columns = [Column(name, CATEGORY, classes) if classes else Column(name, NUMBER) for name in names]
        return TableRows(stored, replace(found, targets=tuple(columns)), labels, classes, targets, weights)

    def _weights(self) -> Tensor | None:
        """The rows' weights ``(n,)``; None without such a column.

        Raises:
            SettingError: there is no column of that name, or it is one to predict.
            DataError: its values are no finite numbers from 0, or all 0.
        """
        if self.weights is None:
            return None
        there = list(self.frame.columns)
        if self.weights not in there:
            raise SettingError(
                f"data.weights={self.weights}: the table has no such column.{suggestion(self.weights, there)} It has "
                f"{', '.join(there)}. Use one of them, or null for none."
            )
        if self.weights in self.target:
            raise SettingError(
                f"data.weights={self.weights}: this is the column to predict, data.target. Use another, or null."
            )
        values = self.frame[self.weights]
        if values.dtype.kind not in "buif":
            raise DataError(f"the column of weights {self.weights!r} holds {values.dtype}. Give it numbers from 0.")
        what = f"the weights in column {self.weights!r}"
        return checked_weights(torch.from_numpy(values.to_numpy(dtype=np.float64)), len(values), what)


def class_names(values: "pd.Series[Any]") -> NDArray[Any]:
    """Classes in a target column without missing values, ``(n,)``: whole numbers where all are, otherwise texts."""
    array = values.to_numpy()
    whole = array.dtype.kind in "biu" or (array.dtype.kind == "f" and bool((array == np.round(array)).all()))
    return normalise_labels("labels", array) if whole else array.astype(str)


def _target(
    frame: "pd.DataFrame", names: list[str], given: "Mapping[str, str]"
) -> tuple[Tensor | None, tuple[str, ...], tuple[str, ...]]:
    """Labels, classes, and names of targets."""
    if not names:
        return None, (), ()
    for name in names:
        missing = frame[name].isna()
        if missing.any():
            raise DataError(
                f"the target {name!r} is missing in {int(missing.sum())} of {len(frame)} rows, the first is row "
                f"{int(missing.argmax())} (counted from 0). Leave these rows out."
            )
    classes = [name for name in names if is_class(name, frame[name], given)]
    if len(names) > 1 and classes:
        raise SettingError(
            f"data.target=[{','.join(names)}]: {classes[0]!r} looks like classes, and several targets must be numbers. "
            f"Say data.columns.{classes[0]}=number if it is one, or give one target."
        )
    if classes:
        values = frame[names[0]]
        if len(distinct(values)) < 2:
            raise DataError(
                f"the target {names[0]!r} is {distinct(values)[0]!r} in all rows: there is nothing to learn."
            )
        labels, found = encode_labels({"labels": class_names(values)})
        return labels["labels"], found, ()
    numbers = []
    for name in names:
        if frame[name].dtype.kind not in "iuf":
            raise DataError(f"the target {name!r} holds texts, and data.columns.{name}=number. Use category.")
        numbers.append(np.asarray(frame[name], dtype=np.float64))
    targets = torch.from_numpy(np.stack(numbers, axis=1)).float()
    bad = ~torch.isfinite(targets).all(1)
    if bad.any():
        raise DataError(f"a target is infinite in row {int(bad.nonzero()[0])} (counted from 0). Correct it.")
    return targets, (), tuple(names)


def rows_of_arrays(arrays: "Mapping[str, Any]") -> "pd.DataFrame":
    """A table of arrays by name: a column for each ``(n,)``, and ``name0``, ``name1`` ... for an array ``(n, k)``.

    Raises:
        DataError: an array has another shape, or they differ in length.
    """
    import pandas as pd

    found: dict[str, Any] = {}
    for name, array in arrays.items():
        if array.ndim == 1:
            found[name] = array
        elif array.ndim == 2:
            found |= {f"{name}{k}": array[:, k] for k in range(array.shape[1])}
        else:
            raise DataError(f"array {name!r} has shape {array.shape}. Columns are (n,), several at once (n, columns).")
    lengths = {name: len(column) for name, column in found.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"columns differ in length: {', '.join(f'{name} has {n}' for name, n in lengths.items())}.")
    return pd.DataFrame(found)
