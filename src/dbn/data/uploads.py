"""Transfers to a GPU that neither the host nor its training steps wait for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


def pinned(x: Tensor, device: torch.device) -> Tensor:
    """``x``, in memory that a transfer to ``device`` reads without the host waiting."""
    return x.pin_memory() if device.type == "cuda" and x.device.type == "cpu" else x


def upload(x: Tensor, device: torch.device) -> Tensor:
    """``x`` on ``device``; work on the current stream finds it there, and the host does not wait."""
    return pinned(x, device).to(device, non_blocking=True)


class UploadStream:
    """A CUDA stream beside the current one, for transfers.

    Args:
        device: the GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)

    def host_memory(self, like: Tensor) -> Tensor:
        """Memory of the host that transfers read, of the shape and type of ``like``."""
        return torch.empty(like.shape, dtype=like.dtype, pin_memory=True)

    def wait_for_steps(self) -> None:
        """Transfers from now on begin when all work that the current stream has been given is done."""
        self.stream.wait_stream(torch.cuda.current_stream(self.stream.device))

    def copy(self, out: Tensor, x: Tensor) -> None:
        """Copy host memory ``x`` to ``out``, on this stream."""
        with torch.cuda.stream(self.stream):
            out.copy_(x, non_blocking=True)
        out.record_stream(self.stream)  # else its memory could be given away while it is written to

    def record(self) -> Any:
        """An event after all transfers so far: ``wait`` lets the current stream wait, ``synchronize`` the host."""
        return self.stream.record_event()


def upload_stream_for(device: torch.device) -> UploadStream | None:
    """The stream for transfers to a device; None where they are no work of their own."""
    return UploadStream(device) if device.type == "cuda" else None


@dataclass
class Slot:
    """Memory for a block on the host and on the device, and the event at the end of the transfer between them."""

    staged: list[Tensor]
    arrived: list[Tensor]
    uploaded: Any = None


class Uploads:
    """Two slots of memory that are filled in turn: while steps use one, the next block is on its way to the other.

    Args:
        memory: tensors on the device for a block.
        stream: transfers them.
    """

    def __init__(self, memory: Sequence[Tensor], stream: UploadStream) -> None:
        self.stream = stream
        self.slots = [
            Slot([stream.host_memory(own) for own in memory], own_memory)
            for own_memory in (list(memory), [torch.empty_like(own) for own in memory])
        ]
        self.next = 0
        self.sent: Slot | None = None

    def stage(self) -> list[Tensor]:
        """Host memory of the next slot, when its last transfer has read it."""
        slot = self.slots[self.next]
        if slot.uploaded is not None:
            slot.uploaded.synchronize()
        return slot.staged

    def send(self, n: int) -> None:
        """Begin to transfer the first ``n`` rows of the staged tensors, when steps so far are done with the slot."""
        slot = self.slots[self.next]
        self.stream.wait_for_steps()
        for out, x in zip(slot.arrived, slot.staged, strict=True):
            self.stream.copy(out[:n], x[:n])
        slot.uploaded = self.stream.record()
        self.sent, self.next = slot, 1 - self.next

    def receive(self, n: int) -> list[Tensor]:
        """The first ``n`` rows of what was sent last; steps from now on wait for it."""
        assert self.sent is not None
        slot, self.sent = self.sent, None
        slot.uploaded.wait()
        return [own[:n] for own in slot.arrived]
