"""The embedded digits are scikit-learn's."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from dbn.data import digits
from dbn.data.sources import digits as module
from dbn.errors import DataError


def test_they_are_those_of_scikit_learn() -> None:
    bunch, source = load_digits(), digits()
    np.testing.assert_array_equal(source.train_images.squeeze(1).numpy(), bunch.images)
    np.testing.assert_array_equal(source.train_labels.numpy(), bunch.target)


def test_a_scikit_learn_without_them_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILE", Path("datasets", "data", "nosuch.csv.gz"))
    with pytest.raises(DataError, match=r"sklearn/datasets/data/nosuch\.csv\.gz"):
        digits()
