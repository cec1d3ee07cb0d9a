"""The columns of a table: their kinds, and how a row becomes features and back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dbn.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

NUMBER, BINARY, CATEGORY = "number", "binary", "category"
ORDER = (NUMBER, BINARY, CATEGORY)
"""Kinds of columns, in the order in which their features stand."""

Value = str | float | int | bool


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: its name.
        kind: ``number``, ``binary`` or ``category``.
        values: of a binary column those that stand for 0 and 1; of a category column that of each feature.
    """

    name: str
    kind: str
    values: tuple[Value, ...] = ()

    @property
    def n_features(self) -> int:
        """Number of features: one for each value of a category column, otherwise one."""
        return len(self.values) if self.kind == CATEGORY else 1

    def encoded(self, given: NDArray[Any]) -> NDArray[np.float32]:
        """Stored values ``(n, n_features)``, NaN where missing, of a column ``(n,)`` of any type.

        Raises:
            DataError: a value is no finite number, or none of the column's values.
        """
        import pandas as pd

        missing = np.asarray(pd.isna(given))
        if self.kind == NUMBER:
            return self._numbers(given, missing)[:, None]
        places = {value: place for place, value in enumerate(self.values)}
        found = np.array(
            [math.nan if empty else places.get(value, -1) for value, empty in zip(given, missing, strict=True)]
        )
        unknown = found == -1
        if unknown.any():
            row = int(unknown.argmax())
            raise DataError(
                f"column {self.name!r} holds {_plain(given[row])!r} in row {row} (counted from 0), which is none of "
                f"its values: {_listed(self.values)}. Leave the cell empty if it is not known."
            )
        if self.kind == BINARY:
            return found.astype(np.float32)[:, None]
        one_hot: NDArray[np.float32] = (found[:, None] == np.arange(len(self.values))).astype(np.float32)
        one_hot[missing] = math.nan
        return one_hot

    def _numbers(self, given: NDArray[Any], missing: NDArray[np.bool_]) -> NDArray[np.float32]:
        import pandas as pd

        read = np.asarray(pd.to_numeric(pd.Series(given), errors="coerce"), dtype=np.float64)
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite
            numbers: NDArray[np.float32] = read.astype(np.float32)
        bad = ~np.isfinite(numbers) & ~missing
        if bad.any():
            row = int(bad.argmax())
            raise DataError(
                f"column {self.name!r} holds {_plain(given[row])!r} in row {row} (counted from 0), which is no finite "
                f"number. Correct it, leave the cell empty, or say data.columns.{self.name}=category."
            )
        return numbers

    def decoded(self, stored: NDArray[np.float32]) -> NDArray[Any]:
        """Values ``(n,)`` of stored ones or of probabilities ``(n, n_features)``: of categories the most probable."""
        if self.kind == NUMBER:
            return stored[:, 0]
        place = (stored[:, 0] >= 0.5).astype(int) if self.kind == BINARY else stored.argmax(1)
        found: NDArray[Any] = np.array(self.values, dtype=object)[place]
        return found

    def header(self) -> dict[str, Any]:
        """Entry in a model file's header."""
        return {"name": self.name, "kind": self.kind, "values": list(self.values)}


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of a table, number columns first, then binary and category ones.

    Attributes:
        columns: the columns in this order.
        fill: stored values ``(n_features,)`` that stand for missing ones: the mean of a number column, the most
            frequent value of a binary or category column, over the training rows; None: not known yet.
    """

    columns: tuple[Column, ...]
    fill: Tensor | None = field(default=None)

    @property
    def n_features(self) -> int:
        """Number of features of a row."""
        return sum(column.n_features for column in self.columns)

    @property
    def names(self) -> list[str]:
        """Names of the columns, in order."""
        return [column.name for column in self.columns]

    def of_kind(self, kind: str) -> list[Column]:
        """The columns of a kind, in order."""
        return [column for column in self.columns if column.kind == kind]

    def places(self, kind: str) -> slice:
        """Places of the features of a kind."""
        start = sum(column.n_features for column in self.columns if ORDER.index(column.kind) < ORDER.index(kind))
        return slice(start, start + sum(column.n_features for column in self.of_kind(kind)))

    def units(self) -> str | dict[str, Any]:
        """The visible units that such rows are states of, as :func:`dbn.models.units.make_units` takes them.

        Number columns are Gaussian units with learned variance, binary ones Bernoulli units, and each category column
        is a group of softmax units.
        """
        kinds = {NUMBER: "gaussian_with_variance", BINARY: "bernoulli", CATEGORY: "softmax"}
        parts: list[dict[str, Any]] = []
        for kind in ORDER:
            own = self.of_kind(kind)
            if own:
                parts.append({"kind": kinds[kind], "n": sum(column.n_features for column in own)})
            if own and kind == CATEGORY:
                parts[-1]["categories"] = [column.n_features for column in own]
        if len(parts) > 1:
            return {"kind": "mixed", "parts": parts}
        (only,) = parts
        del only["n"]
        return only if len(only) > 1 else str(only["kind"])

    def encoded(self, rows: "pd.DataFrame | Mapping[str, Any]") -> Tensor:
        """Stored values of rows ``(n, n_features)`` float32, NaN where missing.

        Args:
            rows: a table that has these columns, in any order; others are ignored.

        Raises:
            DataError: a column is missing, or a value is none of its column's.
        """
        lacking = [name for name in self.names if name not in rows]
        if lacking:
            raise DataError(
                f"the table has no column {_listed(lacking)}, and the model takes {_listed(self.names)}. Add them, "
                "empty where they are not known."
            )
        parts = [column.encoded(np.asarray(rows[column.name])) for column in self.columns]
        return torch.from_numpy(np.concatenate(parts, axis=1))

    def decoded(self, stored: Tensor) -> "pd.DataFrame":
        """A table of stored values, or of probabilities, ``(n, n_features)``; inverse of :meth:`encoded`."""
        import pandas as pd

        values, start, found = stored.detach().cpu().numpy(), 0, {}
        for column in self.columns:
            found[column.name] = column.decoded(values[:, start : start + column.n_features])
            start += column.n_features
        return pd.DataFrame(found).infer_objects()

    def filled(self, stored: Tensor) -> Tensor:
        """Stored values ``(n, n_features)`` with :attr:`fill` where they are missing."""
        assert self.fill is not None
        return torch.where(stored.isnan(), self.fill.to(stored), stored)

    def header(self) -> list[dict[str, Any]]:
        """Entry in a model file's header; :attr:`fill` is a tensor of the file."""
        return [column.header() for column in self.columns]

    @classmethod
    def from_file(cls, header: Sequence[Mapping[str, Any]], fill: Tensor) -> "Columns":
        """Inverse of :meth:`header`."""
        return cls(tuple(Column(own["name"], own["kind"], tuple(own["values"])) for own in header), fill)


def _plain(value: Any) -> Any:
    """A value as Python shows it."""
    return value.item() if isinstance(value, np.generic) else value


def _listed(values: Sequence[Any], most: int = 10) -> str:
    """Some of the values, for a message."""
    shown = ", ".join(map(repr, values[:most]))
    return shown if len(values) <= most else f"{shown} and {len(values) - most} more"
