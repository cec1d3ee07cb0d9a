"""From the rows of a table to a data set: split, fill in what is missing, standardise numbers."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from dbn.data.images import DataSet, Images, rows_of
from dbn.data.split.hold_out import STD_FLOOR, split_size, split_stream, stratified_split
from dbn.data.tables.columns import BINARY, CATEGORY, NUMBER, Columns
from dbn.data.tables.source import TableSource
from dbn.errors import SettingError


def load_tables(
    source: TableSource, split_seeds: Sequence[int], *, validation: int | float | None, test: int | float,
    standardise: bool,
) -> dict[int, DataSet]:  # fmt: skip
    """The data set of each seed, see :func:`dbn.data.load.load_data`.

    Rows are split as images are, stratified where there are classes. Numbers get mean 0 and standard deviation 1 over
    the training rows, counting the values that are there; standard deviations are floored as in
    :func:`dbn.data.split.hold_out.standardisation`. Missing values are then the mean of a number column, or the most
    frequent value of another, over the training rows, in all splits alike.

    Raises:
        SettingError: ``standardise``: numbers always are; or a split is invalid.
        DataError: as :func:`dbn.data.split.hold_out.stratified_split`.
    """
    if standardise:
        raise SettingError(
            f"data.standardise=true: the number columns of data={source.name} are standardised in any case. Leave it "
            "at false."
        )
    return {seed: _loaded(source, seed, validation, test) for seed in split_seeds}


def _loaded(source: TableSource, seed: int, validation: int | float | None, test: int | float) -> DataSet:
    rows, index = source.rows, split_rows(source, seed, validation=validation, test=test)
    columns = replace(rows.columns, fill=typical(rows.columns, rows.stored[index["train"]]))
    offset, factor = scaling_of(columns, rows.stored[index["train"]])
    stored = columns.filled(rows.stored)
    train, tuning, held_out = (
        Images(
            stored[index[name]], rows_of(rows.labels, index[name]), offset, factor, rows_of(rows.weights, index[name])
        )
        for name in ("train", "validation", "test")
    )
    return DataSet(
        name=source.name,
        train=train,
        validation=tuning,
        test=held_out,
        shape=(1, 1, columns.n_features),
        classes=rows.classes,
        test_index=index["test"],
        columns=columns,
        targets=rows.targets,
    )


def split_rows(
    source: TableSource, split_seed: int, *, validation: int | float | None, test: int | float
) -> dict[str, Tensor]:
    """Numbers of the ``train``, ``validation`` and ``test`` rows, ``(m,)`` each, in random order.

    Raises:
        SettingError, DataError: as :func:`load_tables`.
    """
    rest, held_out = _take_out("test", torch.arange(len(source.frame)), test, split_seed, source)
    train, tuning = _take_out("validation", rest, validation, split_seed, source)
    return {"train": train, "validation": tuning, "test": held_out}


def _take_out(
    split: str, index: Tensor, wanted: int | float | None, seed: int, source: TableSource
) -> tuple[Tensor, Tensor]:
    """Numbers of the remaining and of the held-out rows, both in random order."""
    generator, n, rows = split_stream(seed, split), len(index), source.rows
    size = split_size(split, wanted, n, source.name)
    if size == 0:
        return index, index[:0]
    order = torch.randperm(n, generator=generator)  # so that the first rows of a split are a random sample
    out = torch.zeros(n, dtype=torch.bool)
    if rows.classes:
        assert rows.labels is not None  # classes are theirs
        out[
            stratified_split(
                split, rows.labels[index], size, generator, name=source.name, classes=rows.classes,
                all_labels=rows.labels,
            )
        ] = True  # fmt: skip
    else:
        out[torch.randperm(n, generator=generator)[:size]] = True
    return index[order[~out[order]]], index[order[out[order]]]


def typical(columns: Columns, stored: Tensor) -> Tensor:
    """Mean of the numbers, most frequent value of the other columns, over rows ``(n, n_features)``; ``(n_features,)``.

    Of equally frequent values the first; of a column without any value 0, or its first value.
    """
    means = stored.double().nanmean(0).nan_to_num(0.0)
    fill = means.clone()
    binary, categories = columns.places(BINARY), columns.places(CATEGORY)
    fill[binary] = (means[binary] > 0.5).double()
    start = categories.start
    for column in columns.of_kind(CATEGORY):
        own = slice(start, start + column.n_features)
        fill[own] = torch.zeros(column.n_features, dtype=torch.float64).index_fill_(0, means[own].argmax(), 1.0)
        start = own.stop
    return fill.float()


def scaling_of(columns: Columns, stored: Tensor) -> tuple[Tensor, Tensor]:
    """Offset and factor ``(n_features,)`` of the features: those of standardisation for numbers, else 0 and 1."""
    assert columns.fill is not None
    offset, factor = torch.zeros(columns.n_features), torch.ones(columns.n_features)
    places = columns.places(NUMBER)
    differences = stored[:, places].double() - columns.fill[places].double()
    deviation = differences.square().nanmean(0).sqrt().nan_to_num(0.0)
    furthest = differences.abs().nan_to_num(0.0).amax(0)
    deviation = torch.maximum(deviation, STD_FLOOR * furthest)
    constant = furthest <= 1e-6 * columns.fill[places].abs()  # up to rounding of the mean
    offset[places] = columns.fill[places]
    factor[places] = (1 / torch.where(constant, 1.0, deviation)).float()
    return offset, factor
