"""Reading images in blocks: pixels are gathered into reused buffers and decoded a few minibatches at a time."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from copy import copy

import torch
from torch import Tensor

Gathered = tuple["Tensor | Stored", Tensor | None, Tensor | None]
"""Features ``(m, n_features)`` or stored pixels, labels ``(m,)`` or None, weights ``(m,)`` or None."""
Gather = Callable[[Tensor, Tensor | None], Gathered]
"""From positions in an epoch's order, ascending ``(m,)``, to what is there.

The second argument are the positions of the call that follows, which may be read ahead; None: there is none.
"""


class BlockReader(ABC):
    """Gathers images in an epoch's order, a block at a time, into reused memory."""

    @abstractmethod
    def reading(self, generator: torch.Generator | None) -> AbstractContextManager[Gather]:
        """Read an epoch in an order that ``generator`` draws; None: as stored. Results are valid until the next call.

        Positions must ascend from call to call, and may skip some.
        """


class Decoder:
    """Decodes pixels into a reused buffer: allocating memory costs more than the arithmetic.

    Args:
        pixels: example pixels ``(m, n_features)``, which give type, number of features and device.
        offset: as in :class:`~dbn.data.Images`.
        factor: as in :class:`~dbn.data.Images`.
    """

    def __init__(self, pixels: Tensor, offset: Tensor, factor: Tensor) -> None:
        self.offset = offset if bool(offset.count_nonzero()) else None
        self.factor = factor if bool((factor != 1).any()) else None
        self.is_identity = pixels.dtype == torch.float32 and self.offset is None and self.factor is None
        self.room = pixels.new_empty(0, pixels.shape[1], dtype=torch.float32)

    def with_own_buffer(self) -> "Decoder":
        """A decoder of the same pixels with a buffer of its own."""
        twin = copy(self)
        twin.room = self.room.new_empty(0, self.room.shape[1])
        return twin

    def __call__(self, pixels: Tensor, out: Tensor | None = None) -> Tensor:
        """Features ``(m, n_features)`` float32 of ``pixels``, written to ``out``, or valid until the next call."""
        if out is None:
            if self.is_identity:
                return pixels
            if len(self.room) < len(pixels):
                self.room = torch.empty_like(pixels, dtype=torch.float32)
            out = self.room[: len(pixels)]
        if pixels.is_cuda:
            return decode_on_gpu(pixels, self.offset, self.factor, out)
        features = out.copy_(pixels)  # converting within the arithmetic would take twice as long
        if self.offset is not None:
            features.sub_(self.offset)
        if self.factor is not None:
            features.mul_(self.factor)
        return features


def decode_on_gpu(pixels: Tensor, offset: Tensor | None, factor: Tensor | None, out: Tensor) -> Tensor:
    """As :class:`Decoder` in as few kernels as possible: a GPU converts within the arithmetic at no cost.

    Args:
        pixels: ``(m, n_features)``.
        offset: or None.
        factor: or None.
        out: destination; of a shorter type than float32 it is rounded to once.
    """
    if offset is None:
        return out.copy_(pixels) if factor is None else torch.mul(pixels, factor, out=out)
    if factor is None:
        return torch.sub(pixels, offset, out=out)
    return torch.mul(pixels - offset, factor, out=out)


class Stored:
    """Stored pixels of a block, decoded on demand.

    The features of a whole block do not fit into a core's cache; those of a few minibatches do.

    Args:
        pixels: ``(m, n_features)``; the next block may overwrite them.
        decode: decodes a part of the block.
        decode_all: decodes the whole block.
    """

    __slots__ = ("decode", "decode_all", "pixels")

    def __init__(self, pixels: Tensor, decode: Decoder, decode_all: Decoder) -> None:
        self.pixels = pixels
        self.decode = decode
        self.decode_all = decode_all

    def features(self) -> Tensor:
        """Features of all images, ``(m, n_features)`` float32, valid until the next block."""
        return self.decode_all(self.pixels)

    def features_between(self, start: int, stop: int, out: Tensor | None = None) -> Tensor:
        """Features ``(stop - start, n_features)`` of a part, written to ``out``, or valid until the next call."""
        return self.decode(self.pixels[start:stop], out)


class BlockBuffer:
    """Reusable memory for the pixels of a block, with its decoders.

    Args:
        pixels: the memory, ``(room, n_features)``.
        offset: as in :class:`~dbn.data.Images`.
        factor: as in :class:`~dbn.data.Images`.
    """

    def __init__(self, pixels: Tensor, offset: Tensor, factor: Tensor) -> None:
        self.pixels = pixels
        self.decoders = Decoder(pixels, offset, factor), Decoder(pixels, offset, factor)

    def holding(self, n: int) -> Stored:
        """The first ``n`` images in ``pixels``."""
        return Stored(self.pixels[:n], *self.decoders)
