"""Label subsets: exact size, every class, proportional."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dbn.data import label_subset
from dbn.errors import DataError, SettingError


def labels_of(counts):
    return torch.cat([torch.full((count,), label) for label, count in enumerate(counts)])


@settings(max_examples=100, deadline=None)
@given(counts=st.lists(st.integers(1, 40), min_size=2, max_size=8), data=st.data())
def test_exact_size_every_class_and_no_class_far_from_its_share(counts, data):
    labels = labels_of(counts)
    n = data.draw(st.integers(len(counts), len(labels)))
    index = label_subset(labels, n, seed=0)
    assert len(set(index.tolist())) == n
    assert index.tolist() == sorted(index.tolist())
    got = torch.bincount(labels[index], minlength=len(counts))
    assert got.min() >= 1
    shares = torch.tensor(counts).double() * n / len(labels)
    excess = got - shares
    for giver in range(len(counts)):  # no label can move to another class and bring the two closer to their shares
        if got[giver] > 1:
            assert (excess[giver] <= excess + 1 + 1e-9).all()


def test_shares_go_by_largest_remainder():
    # 10 of 6, 5, 4 out of 15: shares 4, 3.33, 2.67, so the odd one goes to the last class.
    assert torch.bincount(labels_of([6, 5, 4])[label_subset(labels_of([6, 5, 4]), 10, seed=1)]).tolist() == [4, 3, 3]


def test_classes_with_less_than_one_are_lifted_at_the_cost_of_the_largest():
    labels = labels_of([96, 2, 2])
    assert torch.bincount(labels[label_subset(labels, 5, seed=1)]).tolist() == [3, 1, 1]
    labels = labels_of([30, 30, 1, 1, 1, 1])  # two to pay for: each of the large classes gives one
    assert torch.bincount(labels[label_subset(labels, 8, seed=1)]).tolist() == [2, 2, 1, 1, 1, 1]


def test_the_seed_decides():
    labels = labels_of([50, 50])
    first = label_subset(labels, 20, seed=5)
    torch.manual_seed(99)
    assert torch.equal(label_subset(labels, 20, seed=5), first)
    assert not torch.equal(label_subset(labels, 20, seed=6), first)


def test_every_image_of_a_class_is_equally_likely():
    labels = labels_of([10, 10])
    draws = 2000
    hits = torch.stack([torch.bincount(label_subset(labels, 4, seed), minlength=20) for seed in range(draws)]).sum(0)
    standard_error = (draws * 0.2 * 0.8) ** 0.5
    assert (hits - draws * 0.2).abs().max() < 4.5 * standard_error


def test_null_means_all():
    assert label_subset(labels_of([3, 4]), None, seed=0).tolist() == list(range(7))
    assert label_subset(labels_of([3, 4]), 7, seed=0).tolist() == list(range(7))


def test_too_few_labels():
    with pytest.raises(SettingError) as caught:
        label_subset(labels_of([115] * 9 + [114]), 5, seed=0, data_name="digits")
    assert str(caught.value) == (
        "data.n_labelled=5 is too few for data=digits: every one of its 10 classes needs a label. "
        "Use 10 to 1149, or null for all."
    )


def test_too_many_labels():
    with pytest.raises(SettingError, match=r"data\.n_labelled=8 is too many for data=x.* 7 .*Use 2 to 7, or null"):
        label_subset(labels_of([3, 4]), 8, seed=0, data_name="x")


def test_no_labels():
    with pytest.raises(DataError, match="data=binarized_mnist has no labels"):
        label_subset(None, 10, seed=0, data_name="binarized_mnist")
