"""Splits by group: whole groups, shares as near as groups allow, copies held out once; without groups as ever."""

import hashlib

import numpy as np
import pytest
import torch

from dbn.data import Source, digits, load_data
from dbn.data.split.groups import first_in_groups
from dbn.errors import DataError, SettingError


def by_number(labels, groups, **more):
    """One-pixel images whose value is their place."""
    n = len(groups)
    images = torch.arange(n, dtype=torch.float32).reshape(-1, 1, 1, 1)
    labels = None if labels is None else torch.as_tensor(labels)
    return Source("grouped", images, labels, maximum=float(n), groups=torch.as_tensor(groups), **more)


def pictures(labels, groups):
    """One-pixel images whose value is their group: copies."""
    images = torch.as_tensor(groups, dtype=torch.float32).reshape(-1, 1, 1, 1)
    return Source(
        "copied", images, torch.as_tensor(labels), maximum=float(max(groups) + 1), groups=torch.as_tensor(groups),
        copies=True,
    )  # fmt: skip


def places(images):
    return images.pixels.squeeze(1).long()


def splits(data):
    return data.train, data.validation, data.test


HASHES = ["e9249a96425666b8", "57abe7e2e07db81b", "d204d8b9a8c61840"]
UNLABELLED_HASH = "6d6fab3c3583148c"


def test_without_groups_the_split_is_the_one_it_always_was():
    """Hashes of what the version before groups gave: results of old studies stay comparable."""
    data = load_data(digits(), split_seed=3)
    bytes_of = (images.pixels.numpy().tobytes() + images.labels.numpy().tobytes() for images in splits(data))
    assert [hashlib.sha256(content).hexdigest()[:16] for content in bytes_of] == HASHES
    unlabelled = load_data(Source("digits", digits().train_images, maximum=16), split_seed=3)
    assert hashlib.sha256(unlabelled.train.pixels.numpy().tobytes()).hexdigest()[:16] == UNLABELLED_HASH


@pytest.mark.parametrize("labelled", [True, False])
def test_groups_stay_whole_and_every_image_is_somewhere_once(labelled):
    random = np.random.default_rng(0)
    groups = random.integers(0, 60, 500) * 7 - 100  # any numbers will do
    data = load_data(by_number(random.integers(0, 4, 500) if labelled else None, groups))
    assert sorted(torch.cat([places(images) for images in splits(data)]).tolist()) == list(range(500))
    sides = [set(groups[places(images)].tolist()) for images in splits(data)]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]


def test_groups_of_equal_size_are_shared_out_exactly():
    data = load_data(by_number(None, torch.arange(40).repeat_interleave(10)), test=100, validation=0.2)
    assert [len(images) for images in splits(data)] == [240, 60, 100]


def test_classes_keep_their_share_as_nearly_as_groups_of_one_class_allow():
    """60 groups of 1 to 9 images of three classes: no class may be off by half its largest group."""
    random = np.random.default_rng(1)
    sizes, of_group = random.integers(1, 10, 60), np.arange(60) % 3
    labels, groups = np.repeat(of_group, sizes), np.repeat(np.arange(60), sizes)
    for seed in range(5):
        test = load_data(by_number(labels, groups), split_seed=seed, test=0.25).test
        counts = torch.bincount(test.labels, minlength=3).numpy()
        assert np.all(np.abs(counts - 0.25 * np.bincount(labels)) <= 9 / 2)


def test_classes_keep_their_share_where_each_group_has_all_of_them():
    """Writers with different habits. Compare with whole groups drawn at random: sorted out, the shares are nearer."""
    random = np.random.default_rng(2)
    habits = random.dirichlet(np.ones(5), 50)
    labels = np.concatenate([random.choice(5, 20, p=own) for own in habits])
    groups = np.repeat(np.arange(50), 20)
    due = 0.2 * np.bincount(labels)

    def deviation(counts):
        return float(((counts - due) ** 2 / np.bincount(labels)).sum())

    ours = [
        deviation(np.bincount(load_data(by_number(labels, groups), split_seed=seed).test.labels, minlength=5))
        for seed in range(5)
    ]
    drawn = [
        deviation(np.bincount(labels[np.isin(groups, random.permutation(50)[:10])], minlength=5)) for _ in range(200)
    ]
    assert max(ours) < np.quantile(drawn, 0.1)


def test_every_group_has_its_chance_to_be_tested_on():
    """Of ten equal groups two are held out: over 300 seeds each comes 60 times, within four standard errors."""
    source = by_number(None, torch.arange(10).repeat_interleave(3))
    counts = np.zeros(10)
    for seed in range(300):
        counts[np.unique(places(load_data(source, split_seed=seed, validation=0).test).numpy() // 3)] += 1
    assert counts.sum() == 600
    assert np.abs(counts - 60).max() < 4 * np.sqrt(300 * 0.2 * 0.8)


def test_the_seed_decides_and_splits_come_in_random_order():
    source = by_number(np.arange(400) // 200, torch.arange(400) // 4)
    first, again = load_data(source, split_seed=1), load_data(source, split_seed=1, validation=0)
    assert torch.equal(first.test.pixels, again.test.pixels)
    assert not torch.equal(first.test.pixels, load_data(source, split_seed=2).test.pixels)
    assert 0.2 < first.test.labels[:40].double().mean() < 0.8


def test_a_picture_is_held_out_once_and_its_copies_nowhere():
    """100 pictures, picture g with g % 4 + 1 copies."""
    copies = np.arange(100) % 4 + 1
    groups = np.repeat(np.arange(100), copies)
    data = load_data(pictures(groups % 2, groups), test=0.2, validation=10)
    assert [len(images) for images in splits(data)][1:] == [10, 20]  # pictures, not images
    held_out = torch.cat([places(data.validation), places(data.test)])
    assert len(held_out.unique()) == 30
    remaining = np.setdiff1d(np.arange(100), held_out)
    assert sorted(places(data.train).tolist()) == sorted(np.repeat(remaining, copies[remaining]))
    for images in splits(data):
        assert torch.equal(images.labels, places(images) % 2)


def test_pictures_with_two_labels_stay_in_training():
    groups = torch.arange(50).repeat_interleave(2)
    labels = groups % 2
    labels[[0, 9]] = 1 - labels[[0, 9]]  # of pictures 0 and 4
    for seed in range(20):
        data = load_data(pictures(labels, groups.tolist()), split_seed=seed, test=0.4)
        assert sum(value in (0, 4) for value in places(data.train).tolist()) == 4
        assert len(data.test) == 20  # of the 48 that have one label: ceil(19.2)


def test_first_of_each():
    assert first_in_groups(torch.tensor([2, 0, 2, 1, 0])).tolist() == [1, 3, 0]


IMAGES = torch.rand(4, 1, 2, 2, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"groups": torch.arange(3)}, r"groups have shape \(3,\), but there are 4 train_images"),
        ({"groups": torch.arange(4).int()}, r"groups are torch\.int32"),
        ({"copies": True}, r"groups are missing, but copies is true"),
        ({"groups": torch.tensor([0, 1, 2, 1]), "copies": True}, r"groups put image 3 .* no copy of"),
    ],
)
def test_groups_that_cannot_be_used_are_named(fields, message):
    with pytest.raises(DataError, match=rf"^data=mine: {message}"):
        Source("mine", IMAGES, maximum=1.0, **fields)


def test_a_class_in_too_few_groups_is_named():
    people = torch.arange(10).repeat_interleave(4)
    with pytest.raises(DataError, match=r"class '0' of data=grouped is in 1 of the groups.* test images"):
        load_data(by_number(people, people), test=12)
    with pytest.raises(DataError, match=r"^data=grouped is in 1 of the groups"):
        load_data(by_number(None, torch.zeros(9, dtype=torch.int64)))


def test_a_picture_s_class_that_is_too_small_is_named():
    groups = torch.tensor([*range(20), 20, 20, 20, 21])
    with pytest.raises(DataError, match=r"class '1' has only 2 of the images"):
        load_data(pictures((groups > 19).long(), groups.tolist()))


def test_sizes_that_cannot_be_used_are_refused_by_name():
    source = by_number(np.arange(40) % 4, torch.arange(40) // 2)
    with pytest.raises(SettingError, match=r"data\.test=40 .*data=grouped"):
        load_data(source, test=40)
    with pytest.raises(SettingError, match=r"data\.validation asks for 3 .*Use 4 or more"):
        load_data(source, validation=3)
