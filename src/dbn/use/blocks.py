"""Applying a model to images block by block, with a progress bar."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dbn.data.given_images import BATCH
from dbn.data.images import Images
from dbn.data.parts import Part

Arrays = tuple[NDArray, ...]
"""Arrays with a row for each image."""
Advance = Callable[[int], None]
"""Is told how much more has been done."""


def in_blocks(part: Part, compute: Callable[[Images], Arrays], advance: Advance) -> Iterator[tuple[NDArray, Arrays]]:
    """Apply a function to the images of a part, a block at a time.

    Blocks are those of :meth:`finetune.Network.predict`, so results are the same bits. What is in order is never in
    memory as a whole; results for a held-out split, which is in memory itself, are collected and sorted.

    Args:
        part: the images.
        compute: from a block of stored images to arrays with a row for each.
        advance: called with the number of images of each block.

    Yields:
        Positions in the part of some images ``(m,)``, in the order of the source, and their rows.
    """
    found = []
    for start in range(0, len(part), BATCH):
        positions = torch.arange(start, min(start + BATCH, len(part)))
        rows = compute(part.images.take(positions))
        advance(len(positions))
        if part.in_order:
            yield positions.numpy(), rows
        else:
            found.append(rows)
    if found:
        order = part.index.argsort().numpy()
        yield order, tuple(np.concatenate(own)[order] for own in zip(*found, strict=True))


@contextmanager
def progress_bar(title: str, total: int, *, wanted: bool) -> Iterator[Advance]:
    """A progress bar on a terminal, except under CI; yields the function that advances it."""
    console = Console(file=sys.stderr)
    if not (wanted and console.is_terminal) or os.environ.get("CI"):
        yield lambda more: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=total)
        yield lambda more: bar.advance(task, more)
