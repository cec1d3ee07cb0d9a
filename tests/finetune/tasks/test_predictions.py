"""Predictions of test images, kept and read again."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dbn.data import digits, load_data
from dbn.errors import ModelFileError
from finetune.networks.network import Network
from finetune.tasks.predictions import PREDICTIONS_FILE, predict, read_predictions, write_predictions


def test_the_largest_output_without_dropout() -> None:
    images = load_data(digits()).test
    network = Network.dense([64, 20, 10], dropout_hidden=0.5)
    expected = network.eval()(images.features()).argmax(1)
    network.train()
    assert torch.equal(predict(network, images), expected)
    assert network.training


def test_what_is_written_is_read(tmp_path: Path) -> None:
    label, predicted = torch.tensor([3, 0, 64, 2]), torch.tensor([3, 1, 64, 0])
    write_predictions(tmp_path, label, predicted)
    found = read_predictions(tmp_path)
    assert found is not None
    assert np.array_equal(found.label, label.numpy())
    assert np.array_equal(found.predicted, predicted.numpy())


def test_nothing_and_damage(tmp_path: Path) -> None:
    assert read_predictions(tmp_path) is None
    (tmp_path / PREDICTIONS_FILE).write_bytes(b"no tensors")
    with pytest.raises(ModelFileError, match="holds no predictions"):
        read_predictions(tmp_path)
