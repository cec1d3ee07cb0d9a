"""What a stack of a table generates: rows, missing values, reconstructions; as a table in its own units."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dbn.data.given_images import read_by
from dbn.data.images import Images
from dbn.data.scaling import Scaling
from dbn.data.tables.columns import Columns
from dbn.errors import SettingError
from dbn.files import replacing
from dbn.models.dbm import DBM
from dbn.models.dbn import DBN
from dbn.random.streams import stream
from dbn.samplers.imputation import impute_table
from dbn.use.blocks import Advance
from dbn.use.data_to_use import DataToUse

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class GeneratedTable:
    """A table that a stack has generated.

    Attributes:
        what: what its rows are.
        frame: the rows.
    """

    what: str
    frame: "pd.DataFrame"

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.frame)

    def save(self, path: Path) -> None:
        """Write a CSV file, whole or not at all."""
        with replacing(path) as temporary:
            self.frame.to_csv(temporary, index=False)


def draw_rows(stack: DBN | DBM, n: int, steps: int, seed: int, after_step: Advance) -> GeneratedTable:
    """Draw ``n`` rows: samples of the visible units, so that numbers vary as in the table."""
    scaling, columns = _table_of(stack)
    noise = stream(seed, "samples", device=next(stack.parameters()).device)
    states = stack.sample(n, steps, noise, lambda: after_step(1), means=False)
    return GeneratedTable("samples", _decoded(scaling, columns, states))


def fill_rows(stack: DBN, data: DataToUse, n: int | None, steps: int, seed: int, after_step: Advance) -> GeneratedTable:
    """Fill in empty cells of the first ``n`` rows (None: all), see :func:`dbn.samplers.imputation.impute_table`.

    The table has all its columns, in its order.

    Raises:
        SettingError: no cell is empty.
    """
    _, columns = _table_of(stack)
    rows = _first_rows(data, n)
    if not rows[columns.names].isna().to_numpy().any():
        raise SettingError(
            f"task=fill: no cell of data={data.name} is empty in the columns {', '.join(columns.names)}. Leave those "
            "cells empty that are to be filled in."
        )
    return GeneratedTable(
        "rows filled in", impute_table(stack, rows, steps=steps, seed=seed, after_step=lambda: after_step(1))
    )


def reconstruct_rows(stack: DBN | DBM, data: DataToUse, n: int | None) -> GeneratedTable:
    """Mean-field reconstructions of the first ``n`` rows (None: all), with the stack's columns."""
    scaling, columns = _table_of(stack)
    stored = columns.encoded(_first_rows(data, n))
    features = read_by(Images.of(stored, None), scaling).features()
    found = stack.reconstruct(features.to(next(stack.parameters())))
    return GeneratedTable("reconstructions", _decoded(scaling, columns, found))


def _table_of(stack: DBN | DBM) -> tuple[Scaling, Columns]:
    assert stack.scaling is not None
    assert stack.scaling.columns is not None  # the command sees to it
    return stack.scaling, stack.scaling.columns


def _first_rows(data: DataToUse, n: int | None) -> "pd.DataFrame":
    """Rows of a table in its order."""
    assert data.frame is not None  # a stack of a table reads tables
    (part,) = data.parts
    return data.frame.iloc[part.index.sort().values.numpy()[:n]]


def _decoded(scaling: Scaling, columns: Columns, features: Tensor) -> "pd.DataFrame":
    return columns.decoded(scaling.stored(features.detach().to("cpu", torch.float32)))
