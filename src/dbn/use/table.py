"""CSV files with a row for each image, written block by block."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from numpy.typing import NDArray

from dbn.data.parts import Part
from dbn.files import replacing
from dbn.use.data_to_use import DataToUse

WriteRows = Callable[[Part, NDArray, Sequence[Sequence[object]]], None]
"""Writes rows: their part, their positions in it ``(m,)``, and the cells of each after those that say which it is."""


@contextmanager
def image_table(path: Path, data: DataToUse, columns: Sequence[str]) -> Iterator[WriteRows]:
    """A CSV file with a row for each image, which appears as a whole when the block ends without an error.

    Its first columns say which image it is: ``split``, where there are several, ``index``, ``name`` and ``label``,
    where images have them.

    Args:
        path: of the file.
        data: the images.
        columns: names of the further columns.
    """
    several = len(data.parts) > 1
    first = [*(["split"] if several else []), "index", *(["name"] if data.has_names else [])]
    first += ["label"] if data.has_labels else []
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*first, *columns])

        def write(part: Part, positions: NDArray, rows: Sequence[Sequence[object]]) -> None:
            for position, cells in zip(positions.tolist(), rows, strict=True):
                known: list[object] = [part.name] if several else []
                known.append(int(part.index[position]))
                if data.has_names:
                    known.append(part.names[position] if part.names else "")
                if data.has_labels:
                    labels = part.images.labels
                    known.append("" if labels is None else data.classes[int(labels[position])])
                writer.writerow([*known, *cells])

        yield write


def exact_numbers(row: NDArray) -> list[str]:
    """Float32 numbers in nine digits, which are read back as the same numbers."""
    return [f"{value:.9g}" for value in row.tolist()]
