"""Imputation of tables: what a stack expects of values that are missing, given those that are there."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from dbn.errors import SettingError
from dbn.models.dbn import DBN
from dbn.random.streams import stream
from dbn.samplers.clamped import clamped_gibbs

if TYPE_CHECKING:
    import pandas as pd


def impute_table(
    stack: DBN, rows: "pd.DataFrame", *, steps: int = 1000, seed: int = 0, after_step: Callable[[], None] | None = None
) -> "pd.DataFrame":
    """A copy of a table whose missing values a stack has filled in, see :func:`dbn.samplers.clamped.clamped_gibbs`.

    Numbers become their expected value, binary values and categories the most probable one: for an RBM those of the
    exact conditional distribution, up to the noise of the chain; for a stack of several those of its approximation.
    Columns that are none of the stack's, and values that are there, stay as they are.

    Args:
        stack: pretrained on a table.
        rows: rows with its columns.
        steps: of Gibbs sampling; expectations are averages over the second half of them.
        seed: seed of the Gibbs noise.
        after_step: called after every step, such as to show progress.

    Raises:
        SettingError: the stack does not know a table's columns, or as :func:`clamped_gibbs`.
        DataError: a column is missing, or a value is none of its column's.

    References:
        Salakhutdinov, Mnih & Hinton (2007), ICML, for RBMs with missing values; Hinton, Osindero & Teh (2006).
    """
    scaling = stack.scaling
    if scaling is None or scaling.columns is None:
        raise SettingError("This stack was not pretrained on a table. Use clamped_gibbs, for visible states.")
    columns, stored = scaling.columns, scaling.columns.encoded(rows)
    like = next(stack.parameters())
    features = scaling.features(columns.filled(stored)).to(like)
    missing, noise = stored.isnan().to(like.device), stream(seed, "imputation", device=like.device)
    found = clamped_gibbs(stack, features, missing, steps, noise, after_step).expected
    values = columns.decoded(scaling.stored(found.float().cpu()))
    filled = rows.copy()
    for name in columns.names:
        empty = rows[name].isna().to_numpy()
        if empty.any():
            own = values[name].to_numpy()[empty]
            if own.dtype == np.float32:
                own = own.astype(str).astype(float)  # as few digits as tell float32 numbers apart
            kept = rows[name].to_numpy(dtype=object).copy()
            kept[empty] = own
            filled[name] = kept
            filled[name] = filled[name].infer_objects()
    return filled
