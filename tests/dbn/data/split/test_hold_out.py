"""Splits: exact sizes, disjoint, stratified, decided by split_seed alone."""

import math

import pytest
import torch

from dbn.data import Source, digits, label_subset, load_data
from dbn.errors import DataError, SettingError


def numbered(counts, n_test=None, **more):
    """One-pixel images, each with a value of its own, ``counts[k]`` of class k in turn."""
    labels = torch.cat([torch.full((count,), label) for label, count in enumerate(counts)])
    images = torch.arange(len(labels), dtype=torch.float32).reshape(-1, 1, 1, 1)
    return Source("numbered", images, labels, maximum=float(len(labels)), **more)


def numbers(images):
    return sorted(images.pixels.squeeze(1).tolist())


@pytest.fixture(scope="module")
def digits_source():
    return digits()


def test_digits_split_as_scikit_learn_would_size_it(digits_source):
    from sklearn.model_selection import train_test_split

    rest, test = train_test_split(range(1797), test_size=0.2, random_state=0)
    train, validation = train_test_split(rest, test_size=0.2, random_state=0)
    data = load_data(digits_source)
    sizes = len(data.train), len(data.validation), len(data.test)
    assert sizes == (1149, 288, 360) == (len(train), len(validation), len(test))
    assert data.classes == tuple("0123456789")
    assert data.shape == (1, 8, 8)


def test_each_class_keeps_its_share_within_one_image(digits_source):
    data = load_data(digits_source)
    everywhere = torch.bincount(digits_source.train_labels).double() / 1797
    for images in (data.train, data.validation, data.test):
        counts = torch.bincount(images.labels, minlength=10)
        assert (counts - everywhere * len(images)).abs().max() < 1.2  # 1, and what rounding twice may add


def test_splits_are_disjoint_complete_and_labels_stay_with_images():
    source = numbered([30, 50, 20])
    data = load_data(source)
    assert sorted(numbers(data.train) + numbers(data.validation) + numbers(data.test)) == list(range(100))
    for images in (data.train, data.validation, data.test):
        assert torch.equal(images.labels, source.train_labels[images.pixels.squeeze(1).long()])


def test_the_seed_decides_and_nothing_else():
    source = numbered([40, 60])
    first = load_data(source, split_seed=3)
    torch.manual_seed(123)  # not the global generator
    label_subset(first.train.labels, 10, seed=3)  # not a draw of labels
    again = load_data(source, split_seed=3, standardise=True)
    assert torch.equal(again.train.pixels, first.train.pixels)
    assert torch.equal(again.test.pixels, first.test.pixels)
    assert numbers(load_data(source, split_seed=4).test) != numbers(first.test)


def test_test_images_do_not_depend_on_the_number_of_validation_images():
    source = numbered([40, 60])
    assert torch.equal(load_data(source, validation=0).test.pixels, load_data(source, validation=30).test.pixels)


def test_splits_come_in_random_order_so_that_a_prefix_is_a_fair_sample():
    data = load_data(numbered([500, 500]), validation=200, test=200)
    for images in (data.train, data.validation, data.test):
        first_half = images.labels[: len(images) // 2].double()
        assert abs(first_half.mean() - 0.5) < 5 * 0.5 / math.sqrt(len(first_half))


def test_counts_and_zero_validation():
    data = load_data(numbered([40, 60]), validation=0, test=17)
    assert (len(data.train), len(data.validation), len(data.test)) == (83, 0, 17)
    assert data.validation.features().shape == (0, 1)
    assert data.validation.labels.shape == (0,)


@pytest.mark.parametrize("labelled", [True, False])
def test_without_test_images(labelled):
    """All images are trained on, or validated on: what the others are does not depend on there being no test images."""
    source = numbered([40, 60])
    if not labelled:
        source = Source("x", source.train_images, maximum=100.0)
    data = load_data(source, test=0, validation=20)
    assert (len(data.train), len(data.validation), len(data.test)) == (80, 20, 0)
    assert sorted(numbers(data.train) + numbers(data.validation)) == list(range(100))
    everything = load_data(source, test=0, validation=0)
    assert numbers(everything.train) == list(range(100))
    assert everything.test.features().shape == (0, 1)


def test_unlabelled_images_are_split_too():
    source = Source("x", torch.arange(50, dtype=torch.float32).reshape(-1, 1, 1, 1), maximum=50.0)
    data = load_data(source, validation=0.1, test=0.1)
    assert (len(data.train), len(data.validation), len(data.test)) == (40, 5, 5)
    assert sorted(numbers(data.train) + numbers(data.validation) + numbers(data.test)) == list(range(50))
    assert data.train.labels is None
    assert data.classes == ()


def test_images_the_source_holds_out_are_left_as_they_are():
    own = torch.full((3, 1, 1, 1), 0.5)
    source = numbered([5, 5], test_images=own, test_labels=torch.tensor([0, 1, 1]))
    data = load_data(source, validation=2)
    assert torch.equal(data.test.pixels, own.flatten(1))
    assert len(data.train) == 8
    both = numbered(
        [5, 5],
        test_images=own,
        test_labels=torch.tensor([0, 1, 1]),
        validation_images=own,
        validation_labels=torch.tensor([1, 1, 0]),
    )
    data = load_data(both, validation=None)
    assert numbers(data.train) == list(range(10))
    assert data.validation.labels.tolist() == [1, 1, 0]


@pytest.mark.parametrize("validation", [-1, 10, 1.0, 0.0, -0.5, 0.99, True, None, "0.2", math.nan])
def test_an_unusable_validation_size_is_refused_by_name(validation):
    source = numbered([5, 5], test_images=torch.zeros(2, 1, 1, 1), test_labels=torch.tensor([0, 1]))
    with pytest.raises(SettingError, match=r"data\.validation=.* data=numbered.*10 images.*1 to 9"):
        load_data(source, validation=validation)


@pytest.mark.parametrize("test", [-1, 20, 1.5, 0.0, True, None])
def test_an_unusable_test_size_is_refused_by_name(test):
    with pytest.raises(SettingError, match=rf"data\.test={'null' if test is None else test} "):
        load_data(numbered([10, 10]), test=test)


def test_a_single_image_can_only_be_trained_on():
    source = Source("x", torch.ones(1, 1, 1, 1))
    with pytest.raises(SettingError, match=r"data\.test=0\.2 .* 1 images .*to train on\. Use 0 for none"):
        load_data(source)
    assert len(load_data(source, test=0, validation=0).train) == 1


def test_fewer_validation_images_than_classes_is_refused():
    with pytest.raises(SettingError, match=r"data\.validation asks for 3 .*4 classes.*Use 4 or more"):
        load_data(numbered([10, 10, 10, 10]), validation=3)


@pytest.mark.parametrize("count", [1, 2])
def test_a_class_too_small_to_be_split_is_named_with_its_count(count):
    source = numbered([20, count, 20], classes=("cat", "rare", "dog"))
    with pytest.raises(DataError, match=rf"'rare' has only {count} of the images"):
        load_data(source)


def test_three_images_of_a_class_are_enough():
    data = load_data(numbered([40, 3, 40]))
    for images in (data.train, data.validation, data.test):
        assert (images.labels == 1).sum() == 1
