"""Blocks that are uploaded ahead: whatever the device does first, steps see their own images."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dbn.data import StreamedImages
from dbn.data.block_loader import BlockLoader
from dbn.data.block_reader import Stored
from dbn.data.streamed import images as streamed
from dbn.data.streamed.npy import NpyFile
from dbn.data.streamed.rows import Rows
from dbn.data.streamed.windows import Layout
from dbn.random.streams import stream

N = 100


class Event:
    """A point in a queue."""

    def __init__(self, device: "Device") -> None:
        self.device = device
        self.happened = False

    def set(self) -> None:
        """It happens."""
        self.happened = True

    def wait(self) -> None:
        """Steps from now on come after it."""
        self.device.steps.append(self)

    def synchronize(self) -> None:
        """The host waits for it."""
        while not self.happened:
            self.device.do_something()


Queue = list["Callable[[], object] | Event"]


class Device:
    """A device with a queue of steps and one of transfers: each in order, but the two in any, unless one waits.

    Args:
        choose: of the queues that could go on, the one that does.
    """

    def __init__(self, choose: Callable[[list[Queue]], Queue]) -> None:
        self.choose = choose
        self.steps: Queue = []
        self.transfers: Queue = []

    def do_something(self) -> bool:
        """Do the next thing of a queue; False if there is nothing to do."""
        for queue in (self.steps, self.transfers):
            while queue and isinstance(queue[0], Event) and queue[0].happened:
                queue.pop(0)
        ready = [own for own in (self.steps, self.transfers) if own and not isinstance(own[0], Event)]
        if not ready:
            assert not self.steps, "the queues wait for each other"
            assert not self.transfers, "the queues wait for each other"
            return False
        work = self.choose(ready).pop(0)
        assert callable(work)
        work()
        return True

    # What dbn.data.uploads.UploadStream does.

    def host_memory(self, like: Tensor) -> Tensor:
        return torch.full_like(like, 77)

    def wait_for_steps(self) -> None:
        event = Event(self)
        self.steps.append(event.set)
        self.transfers.append(event)

    def copy(self, out: Tensor, x: Tensor) -> None:
        self.transfers.append(lambda: out.copy_(x))

    def record(self) -> Event:
        event = Event(self)
        self.transfers.append(event.set)
        return event


@pytest.fixture
def numbered(tmp_path: Path) -> StreamedImages:
    """Images in a file whose single pixel, and label, is their number; windows of 24 images."""
    np.save(tmp_path / "images.npy", np.arange(N, dtype=np.float32)[:, None])
    rows = Rows(NpyFile.open(tmp_path / "images.npy"), (1, 1, 1), torch.empty(0, dtype=torch.int64))
    return StreamedImages.of(rows, torch.arange(N), Layout(row_bytes=4, window_bytes=4 * 24))


def seen(images: StreamedImages, device: Device, busy: Callable[[], int], epochs: int = 2) -> list[list[int]]:
    """Images of each block as its steps find them, when the device gets to it; every second epoch is broken off."""
    found: list[list[int]] = []
    epoch = 0
    loader = BlockLoader(images, batch_size=5, minibatches_per_block=2, seed=1, epoch=lambda: epoch)
    for epoch in range(epochs):
        for block in loader:
            assert isinstance(block.images, Stored)
            pixels, labels = block.images.pixels, block.labels

            def step(pixels: Tensor = pixels, labels: Tensor | None = labels) -> None:
                assert labels is not None
                assert labels.tolist() == pixels[:, 0].tolist()
                found.append(labels.tolist())

            device.steps.append(step)
            for _ in range(busy()):
                device.do_something()
            if epoch % 2 and block.number == 4:
                break
    while device.do_something():
        pass
    return found


def expected(images: StreamedImages, epochs: int = 2) -> list[list[int]]:
    """The same from the order itself."""
    found = []
    for epoch in range(epochs):
        blocks = [own.tolist() for own in images.order(stream(1, "order", epoch)).split(10)]
        found += blocks[:5] if epoch % 2 else blocks
    return found


@pytest.mark.parametrize("seed", range(20))
def test_steps_see_their_own_images_in_whatever_order_the_device_works(
    seed: int, numbered: StreamedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(seed)
    device = Device(draw.choice)
    monkeypatch.setattr(streamed, "upload_stream_for", lambda _: device)
    assert seen(numbered, device, lambda: draw.randrange(12), epochs=3) == expected(numbered, epochs=3)


@pytest.mark.parametrize("first", [0, -1], ids=["steps first", "transfers first"])
def test_steps_see_their_own_images_when_one_queue_is_always_first(
    first: int, numbered: StreamedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(lambda ready: ready[first])
    monkeypatch.setattr(streamed, "upload_stream_for", lambda _: device)
    assert seen(numbered, device, lambda: 0) == expected(numbered)


def test_the_next_block_is_uploaded_before_the_steps_of_this_one(
    numbered: StreamedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the two overlap: a device that does transfers whenever it can has done them before each step."""
    device = Device(lambda ready: ready[-1])
    monkeypatch.setattr(streamed, "upload_stream_for", lambda _: device)
    done: list[int] = []
    for block in BlockLoader(numbered, batch_size=10, minibatches_per_block=1):
        device.steps.append(lambda number=block.number: done.append(number))
        while device.transfers:
            device.do_something()
        assert done == list(range(block.number))
        while device.steps:
            device.do_something()
        assert done == list(range(block.number + 1))
    assert len(done) == 10


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_on_a_gpu_steps_see_their_own_images(numbered: StreamedImages) -> None:
    """Steps that are slow, so that uploads would overtake them if they could."""
    epoch = 0
    loader = BlockLoader(numbered.to("cuda"), batch_size=5, minibatches_per_block=2, seed=1, epoch=lambda: epoch)
    found: list[Tensor] = []
    for epoch in range(3):
        for block in loader:
            torch.cuda._sleep(20_000_000)
            assert block.labels is not None
            found.append(torch.stack([block.features[:, 0], block.labels.float()]))
            if epoch % 2 and block.number == 4:
                break
    for own, numbers in zip(found, expected(numbered, epochs=3), strict=True):
        assert own.tolist() == [numbers, numbers]
