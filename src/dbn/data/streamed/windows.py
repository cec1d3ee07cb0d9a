"""An epoch of images in a file, in windows that are read while the one before is trained on."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType

import torch
from torch import Tensor

from dbn.data.streamed.rows import PIECE_BYTES, RowReader, Rows

WINDOW_MIB = 64
"""Default size of a window."""
LEAST_CHUNKS = 8
"""Chunks in a window: as many places of the file are mixed with each other."""


@dataclass(frozen=True)
class Layout:
    """How many images are read in one place, and how many are shuffled among each other.

    Attributes:
        row_bytes: of an image, in its widest form.
        window_bytes: of a window.
    """

    row_bytes: int
    window_bytes: int = WINDOW_MIB << 20

    @property
    def chunk(self) -> int:
        """Consecutive images that stay together."""
        return max(1, min(PIECE_BYTES, self.window_bytes // LEAST_CHUNKS) // self.row_bytes)

    @property
    def chunks_per_window(self) -> int:
        """Chunks that are shuffled among each other."""
        return max(1, self.window_bytes // (self.row_bytes * self.chunk))

    @property
    def window(self) -> int:
        """Images in a window."""
        return self.chunk * self.chunks_per_window

    def with_room_for(self, row_bytes: int) -> "Layout":
        """So few images that a window of them in a wider form is no larger."""
        return replace(self, row_bytes=max(self.row_bytes, row_bytes))


class Plan:
    """Which chunks make up each window of an epoch.

    In an epoch of several windows chunks come in random order, in each window in the order of the file. The images of a
    window are then shuffled. One window alone thus comes in the order that images in memory would come in.

    Args:
        n: images.
        layout: chunks and windows.
        generator: draws the order; None keeps the images in order.
    """

    def __init__(self, n: int, layout: Layout, generator: torch.Generator | None) -> None:
        n_chunks = -(-n // layout.chunk)
        drawn = generator is not None and n_chunks > layout.chunks_per_window
        chunks = torch.randperm(n_chunks, generator=generator) if drawn else torch.arange(n_chunks)
        self.n = n
        self.layout = layout
        self.windows = [window.sort().values.tolist() for window in chunks.split(layout.chunks_per_window)]
        self.generator = generator

    def pieces(self, number: int) -> list[tuple[int, int]]:
        """First position and one beyond the last, of each chunk of a window."""
        size = self.layout.chunk
        return [(chunk * size, min((chunk + 1) * size, self.n)) for chunk in self.windows[number]]

    def shuffled(self, size: int) -> Tensor:
        """The order of a window's ``size`` images. Windows take their turn: all draw from one stream."""
        return torch.arange(size) if self.generator is None else torch.randperm(size, generator=self.generator)


class Windows:
    """Reads an epoch's windows one after the other, one ahead, in a thread of its own that ends with the context.

    Args:
        rows: the images.
        layout: chunks and windows; two windows are in memory.
        generator: draws the order; None keeps the images in order.
    """

    def __init__(self, rows: Rows, layout: Layout, generator: torch.Generator | None) -> None:
        self.plan = Plan(len(rows), layout, generator)
        room = min(layout.window, len(rows))
        self.buffers = [
            torch.empty(room, rows.n_features, dtype=rows.dtype) for _ in range(min(2, len(self.plan.windows)))
        ]
        self.reader = RowReader(rows)
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="images ahead")
        self.stopping = threading.Event()
        self.number = -1  # of the window at hand
        self.begin = self.end = 0  # the places in the epoch's order that it covers
        self.order = self.positions = torch.empty(0, dtype=torch.int64)
        self.ahead: Future[None] | None = None

    def __enter__(self) -> "Windows":
        self._read_ahead()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self.thread.shutdown(cancel_futures=True)
        self.reader.__exit__(kind, error, trace)

    def gather(self, places: Tensor, out: Tensor) -> Tensor:
        """Write the pixels of the images at some places of the epoch's order to ``out``.

        Args:
            places: ``(m,)``, ascending, and none before the last call's: a window that is left does not come again.
            out: ``(m, n_features)``, on the CPU.

        Returns:
            Their positions among the images, ``(m,)``.

        Raises:
            DataError: what the thread met; see :meth:`RowReader.read`.
        """
        positions, done = torch.empty_like(places), 0
        while done < len(places):
            while places[done] >= self.end:
                self._advance()
            stop = int(torch.searchsorted(places, self.end))
            index = self.order[places[done:stop] - self.begin]
            torch.index_select(self.buffers[self.number % 2], 0, index, out=out[done:stop])
            positions[done:stop] = self.positions[index]
            done = stop
        return positions

    def _advance(self) -> None:
        """Go on to the next window, and have the one after it read to the place of the one that is left."""
        assert self.ahead is not None
        self.ahead.result()
        self.number += 1
        self._read_ahead()
        self.positions = torch.cat([torch.arange(*piece) for piece in self.plan.pieces(self.number)])
        self.order = self.plan.shuffled(len(self.positions))
        self.begin, self.end = self.end, self.end + len(self.positions)

    def _read_ahead(self) -> None:
        if self.number + 1 < len(self.plan.windows):
            self.ahead = self.thread.submit(self._read, self.number + 1)

    def _read(self, number: int) -> None:
        """Read a window to its buffer; in the thread."""
        buffer, filled = self.buffers[number % 2], 0
        for start, stop in self.plan.pieces(number):
            if self.stopping.is_set():
                return
            self.reader.read(start, stop, buffer[filled : filled + stop - start])
            filled += stop - start
