"""An epoch of streamed images: chunks, windows, and reading one window ahead in a thread."""

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
"""Smallest number of chunks in a window, which are shuffled with each other."""


@dataclass(frozen=True)
class Layout:
    """Sizes of chunks (images read consecutively) and windows (images shuffled with each other).

    Attributes:
        row_bytes: bytes of an image, in its largest representation.
        window_bytes: bytes of a window.
    """

    row_bytes: int
    window_bytes: int = WINDOW_MIB << 20

    @property
    def chunk(self) -> int:
        """Images in a chunk."""
        return max(1, min(PIECE_BYTES, self.window_bytes // LEAST_CHUNKS) // self.row_bytes)

    @property
    def chunks_per_window(self) -> int:
        """Chunks in a window."""
        return max(1, self.window_bytes // (self.row_bytes * self.chunk))

    @property
    def window(self) -> int:
        """Images in a window."""
        return self.chunk * self.chunks_per_window

    def with_room_for(self, row_bytes: int) -> "Layout":
        """Layout in which a window is within its size even if an image takes ``row_bytes``."""
        return replace(self, row_bytes=max(self.row_bytes, row_bytes))


class Plan:
    """Assignment of chunks to the windows of an epoch.

    With several windows, chunks are assigned to windows at random, and are in the file's order within a window. The
    images of a window are then shuffled. So an epoch of a single window has the order of images in memory.

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
        """First image, and one beyond the last, of each chunk of a window."""
        size = self.layout.chunk
        return [(chunk * size, min((chunk + 1) * size, self.n)) for chunk in self.windows[number]]

    def index(self, number: int) -> Tensor:
        """Numbers of the images of a window, in the file's order."""
        return torch.cat([torch.arange(*piece) for piece in self.pieces(number)])

    def shuffled(self, size: int) -> Tensor:
        """Order of a window's ``size`` images; to be called for the windows in order, which share a generator."""
        return torch.arange(size) if self.generator is None else torch.randperm(size, generator=self.generator)


class Windows:
    """Reads an epoch's windows in order, one ahead, in a thread that ends with the context.

    Args:
        rows: the images.
        layout: sizes of chunks and windows; two windows are in memory.
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
        self.number = -1  # of the current window
        self.begin = self.end = 0  # positions in the epoch's order that it covers
        self.order = self.index = torch.empty(0, dtype=torch.int64)
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

    def gather(self, positions: Tensor, out: Tensor) -> Tensor:
        """Write the pixels of the images at positions in the epoch's order to ``out``.

        Args:
            positions: ``(m,)``, ascending within and between calls: earlier windows are not read again.
            out: ``(m, n_features)``, on the CPU.

        Returns:
            Numbers of these images, ``(m,)``.

        Raises:
            DataError: raised in the thread, see :meth:`RowReader.read`.
        """
        index, done = torch.empty_like(positions), 0
        while done < len(positions):
            while positions[done] >= self.end:
                self._advance()
            stop = int(torch.searchsorted(positions, self.end))
            in_window = self.order[positions[done:stop] - self.begin]
            torch.index_select(self.buffers[self.number % 2], 0, in_window, out=out[done:stop])
            index[done:stop] = self.index[in_window]
            done = stop
        return index

    def _advance(self) -> None:
        """Go to the next window, and start reading the one after it into the buffer of the previous one."""
        assert self.ahead is not None
        self.ahead.result()
        self.number += 1
        self._read_ahead()
        self.index = self.plan.index(self.number)
        self.order = self.plan.shuffled(len(self.index))
        self.begin, self.end = self.end, self.end + len(self.index)

    def _read_ahead(self) -> None:
        if self.number + 1 < len(self.plan.windows):
            self.ahead = self.thread.submit(self._read, self.number + 1)

    def _read(self, number: int) -> None:
        """Read a window into its buffer; runs in the thread."""
        buffer, filled = self.buffers[number % 2], 0
        for start, stop in self.plan.pieces(number):
            if self.stopping.is_set():
                return
            self.reader.read(start, stop, buffer[filled : filled + stop - start])
            filled += stop - start
