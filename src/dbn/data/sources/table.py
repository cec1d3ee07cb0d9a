"""The user's table from a CSV file, or from the arrays of an .npz file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dbn.data.tables.source import TableSource, rows_of_arrays
from dbn.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def table(
    path: str | Path | None,
    target: str | Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
    name: str = "table",
    weights: str | None = None,
) -> TableSource:
    """The rows of a table.

    Args:
        path: of a CSV file, whose first line names the columns and in which empty cells and NA are missing values; or
            of an .npz file of columns ``(n,)``, or several at once ``(n, k)``.
        target: name of the column to predict, or of several; None: none. Texts, and up to twenty different whole
            numbers, are classes, other numbers are for ``task=regression``.
        columns: kinds of columns by name, where they are not as found: ``number``, ``binary``, ``category`` or
            ``leave_out``, see :func:`dbn.data.tables.find_columns.find_columns`.
        name: name of the data in messages and results.
        weights: name of the column of numbers from 0 that says how much each row counts in training, and is no input;
            None: there is none.

    Raises:
        DataError: the file is missing or damaged, or as :meth:`TableSource.of`.

    Example:
        >>> import pandas as pd
        >>> from dbn.data import load_data, table
        >>> frame = pd.DataFrame({"age": range(20), "smoker": ["yes", "no"] * 10, "ill": [0, 1, 1, 0] * 5})
        >>> frame.to_csv("people.csv", index=False)
        >>> load_data(table("people.csv", target="ill")).columns.names
        ['age', 'smoker']
    """
    file = Path(path).expanduser() if path else None
    if file is None or not file.is_file():
        raise DataError(f"data.path={path}: there is no such file. Set it to a .csv or .npz file.")
    return TableSource.of(read_table(file), target, columns, name, weights)


def read_table(file: Path) -> "pd.DataFrame":
    """The table in a CSV or .npz file.

    Raises:
        DataError: it cannot be read as one.
    """
    import pandas as pd

    try:
        if file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as arrays:
                return rows_of_arrays({key: arrays[key] for key in arrays.files})
        return pd.read_csv(file, skipinitialspace=True)
    except DataError as error:
        raise DataError(f"data.path={file}: {error}") from error
    except Exception as error:  # pandas, numpy and zipfile raise many types for damaged files
        raise DataError(
            f"data.path={file}: it cannot be read as a table ({error}). Use CSV with the columns' names in its first "
            "line, or .npz."
        ) from error
