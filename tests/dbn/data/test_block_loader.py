"""The block loader: every image once, order by epoch, the same minibatches for any number of processes."""

from itertools import chain

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dbn.data import Images
from dbn.data.block_loader import BlockLoader
from dbn.errors import SettingError


def numbered(n: int) -> Images:
    """Images whose single pixel is their number."""
    return Images(torch.arange(n, dtype=torch.float32)[:, None], torch.arange(n), torch.tensor(0.0), torch.tensor(1.0))


def minibatches(loader: BlockLoader) -> list[list[int]]:
    """Numbers of the images in every minibatch."""
    return [batch.features[:, 0].int().tolist() for block in loader for batch in block.minibatches()]


@given(n=st.integers(1, 60), batch=st.integers(1, 17), per_block=st.integers(1, 5), world=st.integers(1, 4))
def test_processes_share_the_same_minibatches(n: int, batch: int, per_block: int, world: int) -> None:
    options = {"batch_size": batch, "minibatches_per_block": per_block, "seed": 3}
    alone = BlockLoader(numbered(n), **options)  # type: ignore[arg-type]
    whole = minibatches(alone)
    assert sorted(chain(*whole)) == list(range(n))
    assert len(list(alone)) == len(alone)
    assert len(whole) == alone.n_minibatches
    assert all(len(b) == batch for b in whole[:-1])
    parts = [minibatches(BlockLoader(numbered(n), **options, rank=r, world_size=world)) for r in range(world)]  # type: ignore[arg-type]
    assert [list(chain(*(part[k] for part in parts))) for k in range(len(whole))] == whole


def test_counts_are_those_of_the_whole_minibatch() -> None:
    loader = BlockLoader(numbered(7), batch_size=4, rank=1, world_size=2)
    assert [(len(b.features), b.count) for block in loader for b in block.minibatches()] == [(2, 4), (1, 3)]


def test_the_order_depends_on_seed_counters_and_epoch() -> None:
    def order(seed: int, counters: tuple[int, ...], epoch: int) -> list[int]:
        loader = BlockLoader(numbered(20), batch_size=20, seed=seed, counters=counters, epoch=lambda: epoch)
        return minibatches(loader)[0]

    orders = [order(0, (1,), 0), order(0, (1,), 1), order(0, (2,), 0), order(1, (1,), 0)]
    assert len({tuple(o) for o in orders}) == 4
    assert order(0, (1,), 1) == orders[1]


def test_without_a_seed_images_come_as_stored_with_their_labels() -> None:
    (block,) = BlockLoader(numbered(5), batch_size=2)
    assert block.features[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert block.labels is not None
    assert block.labels.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("n_features", "in_place"), [(30000, True), (20, False)])
@pytest.mark.parametrize("stored", [torch.uint8, torch.float32])
def test_large_minibatches_are_read_to_the_place_that_is_given(
    n_features: int, in_place: bool, stored: torch.dtype
) -> None:
    pixels = torch.randint(0, 256, (10, n_features), generator=torch.Generator().manual_seed(0)).to(stored)
    factor = 1 / 255 if stored == torch.uint8 else 1.0
    images = Images(pixels, None, torch.tensor(0.0), torch.tensor(factor))
    places = {length: torch.zeros(length, n_features) for length in (4, 2)}
    (block,) = BlockLoader(images, batch_size=4)
    for batch, expected in zip(block.minibatches(places.__getitem__), images.features().split(4), strict=True):
        assert torch.equal(batch.features, expected)
        assert (batch.features.data_ptr() == places[len(expected)].data_ptr()) is in_place


@pytest.mark.parametrize("size", [0, 2.5, True])
def test_bad_batch_sizes_are_refused(size: object) -> None:
    with pytest.raises(SettingError, match="batch_size"):
        BlockLoader(numbered(5), batch_size=size)  # type: ignore[arg-type]
