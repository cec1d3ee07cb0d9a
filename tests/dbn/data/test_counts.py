"""Counts are features as they are, from the file to a model that is applied to new ones."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dbn.data import Source, load_data
from dbn.data.from_config import data_of
from dbn.errors import DataError, SettingError
from dbn.pretraining import LayerSettings, pretrain_stack
from dbn.pretraining.check_config import check_pretraining
from helpers import Composer

COUNTS = np.random.default_rng(1).poisson(1.5, (60, 12)).astype(np.uint8)


def source(**changes: object) -> Source:
    options: dict[str, object] = {"counts": True, **changes}
    return Source("words", torch.from_numpy(COUNTS).view(60, 1, 1, 12), **options)  # type: ignore[arg-type]


def test_counts_are_features_as_they_are() -> None:
    data = load_data(source(), validation=0, test=10)
    both = torch.cat([data.train.features(), data.test.features()])
    assert sorted(both.tolist()) == sorted(COUNTS.astype(float).tolist())


def test_new_documents_may_have_more_of_a_word_or_fewer_of_all() -> None:
    layers = [LayerSettings(n_hidden=3, epochs=1, batch_size=10, learning_rate=0.001)]
    data = load_data(source(), validation=0, test=10)
    stack = pretrain_stack(data, layers, visible="replicated_softmax", progress=False)
    for new in (np.full((2, 12), 200, np.uint8), np.eye(12, dtype=np.float32)):
        expected = stack.up(torch.from_numpy(new.astype(np.float32)))
        np.testing.assert_allclose(stack.transform(new), expected, rtol=0, atol=1e-6)
    with pytest.raises(DataError, match="counts, from 0"):
        stack.transform(-np.eye(12, dtype=np.float32))


@pytest.mark.parametrize("choice", ["npz", "mat"])
def test_a_file_of_counts(choice: str, compose: Composer) -> None:
    from scipy.io import savemat

    arrays = {"images": COUNTS, "labels": np.arange(60) % 2}
    np.savez("mine.npz", **arrays)
    savemat("mine.mat", arrays)
    words = [f"data={choice}", f"data.path=mine.{choice}", "data.test=10", "data.validation=0"]
    config = compose("pretrain", [*words, "data.maximum=counts"])
    check_pretraining(config)
    data = data_of(config)
    assert data.train.features().max() == COUNTS[: len(COUNTS)].max() or data.test.features().max() == COUNTS.max()
    with pytest.raises(SettingError, match=r"data\.maximum=words.*counts"):
        check_pretraining(compose("pretrain", [*words, "data.maximum=words"]))
    with pytest.raises(SettingError, match=r"data\.maximum"):
        check_pretraining(compose("pretrain", [*words, "data.maximum=0"]))
    fractions = data_of(compose("pretrain", [*words, "data.maximum=16"]))
    layers = [LayerSettings(n_hidden=3, epochs=1)]
    with pytest.raises(DataError, match=r"data\.maximum=counts"):
        pretrain_stack(fractions, layers, visible="replicated_softmax", progress=False)
    assert Path(f"mine.{choice}").is_file()


def test_what_is_no_count_is_refused() -> None:
    with pytest.raises(SettingError, match=r"data\.maximum=16"):
        source(maximum=16)
    halves = Source("words", torch.full((20, 1, 1, 4), 0.5), counts=True)
    with pytest.raises(DataError, match="whole numbers from 0"):
        load_data(halves)
    with pytest.raises(DataError, match="3 feature_names, but 12"):
        source(feature_names=("a", "b", "c"))
