"""The order in which a file is read, and the thread that reads it."""

import gc
import threading
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dbn import RBM
from dbn.data import Images, StreamedImages
from dbn.data.block_loader import BlockLoader
from dbn.data.streamed.npy import NpyFile
from dbn.data.streamed.rows import Rows
from dbn.data.streamed.windows import Layout, Plan
from dbn.errors import DataError
from dbn.models.units import Gaussian
from dbn.pretraining import fit
from dbn.random.streams import stream

MOST = 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of ``MOST`` images of one pixel, their number."""
    path = tmp_path_factory.mktemp("numbered")
    np.save(path / "images.npy", np.arange(MOST, dtype=np.float32)[:, None])
    return path


def numbered(folder: Path, left_out: list[int], window: int) -> StreamedImages:
    """The images but for those ``left_out``, read in chunks of an eighth of ``window``; labels are their numbers."""
    rows = Rows(NpyFile.open(folder / "images.npy"), (1, 1, 1), torch.tensor(left_out, dtype=torch.int64))
    kept = torch.tensor([k for k in range(MOST) if k not in left_out])
    return StreamedImages.of(rows, kept, Layout(row_bytes=4, window_bytes=4 * window))


def minibatches(loader: BlockLoader) -> list[list[int]]:
    """Numbers of the images in every minibatch; their labels must be the same."""
    result = []
    for block in loader:
        for batch in block.minibatches():
            result.append(batch.features[:, 0].int().tolist())
            assert batch.labels is not None
            assert batch.labels.tolist() == result[-1]
    return result


@settings(deadline=None, max_examples=50)
@given(
    left_out=st.sets(st.integers(0, MOST - 1), max_size=MOST - 1).map(sorted),
    batch=st.integers(1, 90),
    per_block=st.integers(1, 5),
    world=st.integers(1, 4),
    window=st.integers(1, 500),
)
def test_processes_share_the_same_minibatches(
    folder: Path, left_out: list[int], batch: int, per_block: int, world: int, window: int
) -> None:
    images = numbered(folder, left_out, window)
    options: dict[str, Any] = {"batch_size": batch, "minibatches_per_block": per_block, "seed": 3}
    alone = BlockLoader(images, **options)
    whole = minibatches(alone)
    assert sorted(chain(*whole)) == [k for k in range(MOST) if k not in left_out]
    assert len(whole) == alone.n_minibatches
    assert all(len(b) == batch for b in whole[:-1])
    assert images.labels is not None
    assert list(chain(*whole)) == images.labels[images.order(alone.generator())].tolist()
    parts = [minibatches(BlockLoader(images, **options, rank=r, world_size=world)) for r in range(world)]
    assert [list(chain(*(part[k] for part in parts))) for k in range(len(whole))] == whole


def test_the_order_depends_on_seed_counters_and_epoch(folder: Path) -> None:
    def order(seed: int, counters: tuple[int, ...], epoch: int) -> list[int]:
        images = numbered(folder, [5], 20)
        loader = BlockLoader(images, batch_size=30, seed=seed, counters=counters, epoch=lambda: epoch)
        return list(chain(*minibatches(loader)))

    orders = [order(0, (1,), 0), order(0, (1,), 1), order(0, (2,), 0), order(1, (1,), 0)]
    assert len({tuple(o) for o in orders}) == 4
    assert order(0, (1,), 1) == orders[1]


def test_one_window_comes_in_the_order_of_images_in_memory(folder: Path) -> None:
    images = numbered(folder, [3, 4, 399], 500)
    in_memory = Images(images.features(), images.labels, images.offset, images.factor)
    options: dict[str, Any] = {"batch_size": 7, "seed": 1, "counters": (2,)}
    assert minibatches(BlockLoader(images, **options)) == minibatches(BlockLoader(in_memory, **options))
    assert minibatches(BlockLoader(images, batch_size=7)) == minibatches(BlockLoader(in_memory, batch_size=7))


def test_windows_mix_chunks_from_everywhere_and_read_each_in_one_go() -> None:
    layout = Layout(row_bytes=1000, window_bytes=64 << 20)
    assert layout.chunk == (4 << 20) // 1000
    assert layout.window * 1000 <= 64 << 20
    plan = Plan(100 * layout.chunk + 5, layout, stream(0, "order"))
    assert sorted(chain(*plan.windows)) == list(range(101))
    assert all(len(window) == layout.chunks_per_window == 16 for window in plan.windows[:-1])
    assert all(window == sorted(window) for window in plan.windows)
    assert max(window[0] for window in plan.windows) < 60 < min(window[-1] for window in plan.windows)


@pytest.mark.parametrize("row_bytes", [1, 784, 150528, 10**9])
@pytest.mark.parametrize("mib", [0.001, 1, 64, 512])
def test_a_window_is_no_larger_than_asked_for_unless_an_image_is(row_bytes: int, mib: float) -> None:
    layout = Layout(row_bytes, int(mib * 2**20))
    assert layout.window == 1 or layout.window * row_bytes <= mib * 2**20
    assert layout.window * row_bytes > mib * 2**20 / 2 or layout.window == 1
    assert layout.with_room_for(2000).window <= max(1, mib * 2**20 / 2000)


def readers() -> list[threading.Thread]:
    gc.collect()
    return [thread for thread in threading.enumerate() if thread.name.startswith("images ahead")]


def test_iteration_that_is_left_early_leaves_no_thread(folder: Path) -> None:
    loader = BlockLoader(numbered(folder, [], 8), batch_size=5, seed=0, minibatches_per_block=1)
    for number, _ in enumerate(loader):
        if number == 3:
            assert len(readers()) == 1
            break
    assert not readers()
    list(loader)
    assert not readers()
    iterator = iter(loader)
    next(iterator)
    assert len(readers()) == 1
    del iterator
    assert not readers()


def test_training_that_stops_early_or_fails_leaves_no_thread(folder: Path) -> None:
    images = numbered(folder, [], 8)
    with pytest.raises(ArithmeticError):
        fit(RBM(Gaussian(1), Gaussian(2)), images, epochs=3, batch_size=5, learning_rate=1e18)
    assert not readers()


def test_a_file_cut_short_while_it_is_read_is_an_error_of_the_training_thread(tmp_path: Path) -> None:
    file = tmp_path / "images.npy"
    np.save(file, np.zeros((MOST, 1), np.float32))
    loader = BlockLoader(numbered(tmp_path, [], 8), batch_size=5)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) - 4 * 100])
    with pytest.raises(DataError, match=r"images\.npy is truncated: it ends within rows 300 to 301"):
        list(loader)
    assert not readers()
    file.unlink()
    with pytest.raises(DataError, match=r"images\.npy cannot be read any more"):
        list(loader)


def test_a_failing_disk_is_an_error_of_the_training_thread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FailingFile:
        def seek(self, offset: int) -> int:
            return offset

        def readinto(self, out: memoryview) -> int:
            raise OSError(5, "Input/output error")

        def close(self) -> None:
            """Nothing to close."""

    monkeypatch.setattr(NpyFile, "unbuffered", lambda self: FailingFile())
    with pytest.raises(DataError, match=r"images\.npy: rows 0 to 1 cannot be read.*Input/output error"):
        list(BlockLoader(numbered(folder, [], 8), batch_size=5))
    assert not readers()


def test_memory_holds_two_windows(folder: Path) -> None:
    from dbn.data.streamed.windows import Windows

    images = numbered(folder, [], 8)
    with Windows(images.rows, images.layout, None) as windows:
        assert [len(buffer) for buffer in windows.buffers] == [8, 8]
    with Windows(images.rows, Layout(4), None) as windows:
        assert [len(buffer) for buffer in windows.buffers] == [MOST]
