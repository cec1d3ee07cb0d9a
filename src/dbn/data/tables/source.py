"""The rows of a table as a reader of files returns them, before splitting."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from dbn.data.split.label_subset import encode_labels, normalise_labels
from dbn.data.tables.columns import Columns
from dbn.data.tables.find_columns import distinct, find_columns, is_class
from dbn.errors import DataError, SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd


@dataclass(frozen=True, eq=False)
class TableSource:
    """The rows of a table, encoded; made by :meth:`of`.

    Attributes:
        name: name of the data in messages and results.
        stored: ``(n, n_features)`` float32, as :meth:`Columns.encoded` gives them: NaN where missing.
        columns: the columns that are inputs.
        labels: ``(n,)`` int64 class numbers; ``(n, n_targets)`` float32 values to predict; or None.
        classes: names of the classes; empty without classes.
        targets: names of the values to predict; empty without these.
    """

    name: str
    stored: Tensor
    columns: Columns
    labels: Tensor | None
    classes: tuple[str, ...]
    targets: tuple[str, ...]

    @classmethod
    def of(
        cls, frame: "pd.DataFrame", target: "str | Sequence[str] | None" = None,
        columns: "Mapping[str, str] | None" = None, name: str = "table",
    ) -> "TableSource":  # fmt: skip
        """Encode a table.

        Args:
            frame: the table; missing values are NaN, None or NaT.
            target: name of the column to predict, or of several, which must be numbers; None: none.
            columns: kinds of columns by name, where they are not as found, see
                :func:`dbn.data.tables.find_columns.find_columns`.
            name: name of the data.

        Raises:
            DataError: there are fewer than two rows, two columns have one name, a column cannot be read, or a target is
                missing in a row.
            SettingError: a column that is named does not exist.
        """
        frame = frame.rename(columns=str)
        where, given = f"data={name}", {} if columns is None else dict(columns)
        twice = frame.columns[frame.columns.duplicated()]
        if len(twice):
            raise DataError(f"{where}: two columns are called {twice[0]!r}. Give each a name of its own.")
        if len(frame) < 2:
            raise DataError(f"{where}: the table has {len(frame)} rows. Give at least two.")
        wanted = [] if target is None else [target] if isinstance(target, str) else list(target)
        try:
            found = find_columns(frame, given, wanted)
            stored = found.encoded(frame)
            labels, classes, targets = _target(frame, wanted, given)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        return cls(name, stored, found, labels, classes, targets)


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
        array = values.to_numpy()
        whole = array.dtype.kind in "biu" or (array.dtype.kind == "f" and bool((array == np.round(array)).all()))
        array = normalise_labels("labels", array) if whole else array.astype(str)
        labels, found = encode_labels({"labels": array})
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
