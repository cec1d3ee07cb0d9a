"""Splits of several seeds share the pixels, and are what each is by itself."""

import pytest
import torch

from dbn.data import Source, digits
from dbn.data.block_loader import BlockLoader
from dbn.data.group_loader import move_all
from dbn.data.images import Images
from dbn.data.load import load_data, load_splits
from dbn.data.selected_images import SelectedImages
from own.copies import copies


def in_floats() -> Source:
    """The digits as floats."""
    stored = digits()
    return Source("floats", stored.train_images.float() / 16, stored.train_labels, maximum=1.0)


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("read", [digits, copies, in_floats])
def test_a_split_among_others_is_what_it_is_alone(read, standardise: bool) -> None:
    source = read()
    several = load_splits(source, [3, 5, 3], standardise=standardise)
    assert several[0] is several[2]
    for seed, data in zip((3, 5), several, strict=False):
        alone = load_data(source, split_seed=seed, standardise=standardise)
        for name in ("train", "validation", "test"):
            images, expected = getattr(data, name), getattr(alone, name)
            assert isinstance(images, SelectedImages)
            assert isinstance(expected, Images)
            assert torch.equal(images.features(), expected.features())
            assert torch.equal(images.labels, expected.labels)
            some = torch.tensor([4, 0, 7])
            assert torch.equal(images.features(some), expected.features(some))
            assert torch.equal(images.take(some).features(), expected.take(some).features())
            assert torch.equal(images.sample(9), expected.sample(9))
        assert torch.equal(data.scaling.factor, alone.scaling.factor)
    assert not torch.equal(several[0].test.features(), several[1].test.features())


def test_blocks_are_those_of_the_split_alone() -> None:
    several, alone = load_splits(digits(), [1, 2])[1], load_data(digits(), split_seed=2)
    loaders = [
        BlockLoader(images, batch_size=50, minibatches_per_block=3, seed=8) for images in (several.train, alone.train)
    ]
    for block, expected in zip(*loaders, strict=True):
        assert torch.equal(block.features, expected.features)
        assert torch.equal(block.labels, expected.labels)


def test_pixels_are_in_memory_once_and_are_moved_once() -> None:
    source = digits()
    sets = load_splits(source, range(5))
    images = [images for data in sets for images in (data.train, data.validation, data.test)]
    assert {own.pixels.data_ptr() for own in images} == {source.train_images.data_ptr()}
    moved = move_all(images, torch.device("meta"))
    assert len({id(own.pixels) for own in moved}) == 1
    assert all(own.device.type == "meta" and own.index.device.type == "meta" for own in moved)
