"""Predictions of test images, kept and read again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from dbn.data import Source, digits, load_data
from dbn.errors import ModelFileError
from finetune.tasks.predictions import PREDICTIONS_FILE, PROBABILITIES_FILE, read_predictions, write_predictions


def test_predictions_are_kept_in_the_order_of_the_source(tmp_path: Path) -> None:
    source = digits()
    names = tuple(f"digit{k}.png" for k in range(len(source.train_images)))
    data = load_data(replace(source, names=names), split_seed=3)
    assert data.test.labels is not None
    predicted = (data.test.labels + 1) % 10
    probabilities = torch.rand(len(predicted), 10)
    write_predictions(tmp_path, data, predicted, probabilities)
    found = read_predictions(tmp_path)
    assert found is not None
    assert np.all(np.diff(found.index) > 0)
    assert source.train_labels is not None
    assert np.array_equal(found.label, source.train_labels[found.index])
    assert np.array_equal(found.predicted, (found.label + 1) % 10)
    assert found.names == tuple(names[k] for k in found.index)
    assert data.test_index is not None
    kept = load_file(tmp_path / PROBABILITIES_FILE)["probabilities"]
    assert np.array_equal(kept[np.searchsorted(found.index, data.test_index)], probabilities)
    images = source.train_images[found.index].flatten(1) / 16.0
    order = data.test_index.argsort()
    assert torch.equal(data.test.features()[order], images), "the index names the image that was tested"


def test_test_images_of_the_source_are_numbered_as_they_are(tmp_path: Path) -> None:
    images = torch.arange(6, dtype=torch.uint8).reshape(6, 1, 1, 1).expand(6, 1, 2, 2).contiguous()
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    data = load_data(
        Source("small", images, labels, images, labels, images, labels, maximum=5, test_names=tuple("abcdef"))
    )
    write_predictions(tmp_path, data, labels)
    found = read_predictions(tmp_path)
    assert found is not None
    assert found.index.tolist() == [0, 1, 2, 3, 4, 5]
    assert found.names == tuple("abcdef")
    assert not (tmp_path / PROBABILITIES_FILE).exists()


def test_nothing_and_damage(tmp_path: Path) -> None:
    assert read_predictions(tmp_path) is None
    (tmp_path / PREDICTIONS_FILE).write_bytes(b"no tensors")
    with pytest.raises(ModelFileError, match="holds no predictions"):
        read_predictions(tmp_path)
