"""EasyPR's recogniser with the published weights, and its training."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dbn.data import Source, easypr, load_data
from finetune.baselines.easypr import recogniser
from finetune.baselines.easypr.recogniser import EasyPRNetwork, backpropagate, train_easypr


def test_the_shipped_network_recognises_as_many_characters_as_under_opencv(data_root: Path) -> None:
    """15941 of 16395, 97.23 %, and 91.4 % as the mean over classes: measured with OpenCV and EasyPR's ann.xml."""
    file = data_root / "easypr" / "model" / "ann.xml"
    if not file.is_file():
        pytest.skip("DBN_DATA has no easypr/model/ann.xml")
    root = ElementTree.parse(file).getroot()[0]

    def numbers(element: ElementTree.Element | None) -> NDArray[np.float64]:
        assert element is not None
        assert element.text is not None
        return np.array(element.text.split(), dtype=float)

    scale, offset = numbers(root.find("input_scale")).reshape(-1, 2).T
    first, second = (numbers(element) for element in root.find("weights") or ())
    network = EasyPRNetwork(scale, offset, (first.reshape(121, 40), second.reshape(41, 65)))
    source = easypr(data_root)
    assert source.train_labels is not None
    labels = source.train_labels.numpy()
    right = network.predict(source.train_images.squeeze(1).numpy()) == labels
    assert right.sum() == 15941
    assert np.mean([right[labels == label].mean() for label in range(65)]) == pytest.approx(0.914, abs=5e-4)


def test_steps_are_those_of_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two epochs against torch's SGD with momentum on half the squared error, an image a step, in the same order."""
    monkeypatch.setattr(recogniser, "MAX_EPOCHS", 2)
    monkeypatch.setattr(recogniser, "MIN_CHANGE", 0.0)
    random = np.random.default_rng(3)
    inputs, targets = random.normal(size=(7, 5)), random.uniform(-0.95, 0.95, (7, 3))
    layers = (random.normal(size=(6, 4)), random.normal(size=(5, 3)))
    weights = [torch.tensor(layer, requires_grad=True) for layer in layers]
    sgd = torch.optim.SGD(weights, lr=0.1, momentum=0.1)
    order = np.random.default_rng(5)
    for _ in range(2):
        for place in order.permutation(7):
            states = torch.tensor(inputs[place])
            for weight in weights:
                states = torch.tanh((states @ weight[:-1] + weight[-1]) / 2)
            sgd.zero_grad()
            (0.5 * (torch.tensor(targets[place]) - states).square().sum()).backward()
            sgd.step()
    assert backpropagate(inputs, targets, layers, np.random.default_rng(5)) == 2
    for ours, theirs in zip(layers, weights, strict=True):
        assert np.allclose(ours, theirs.detach().numpy(), rtol=0, atol=1e-12)


def test_training_ends_when_the_error_stands_still() -> None:
    inputs, targets = np.zeros((4, 2)), np.zeros((4, 3))
    layers = (np.zeros((3, 2)), np.zeros((3, 3)))  # outputs are the targets from the start
    assert backpropagate(inputs, targets, layers, np.random.default_rng(0)) == 2


def test_it_learns_and_its_seed_decides(bars: Callable[[int], Source]) -> None:
    data = load_data(bars(150), validation=0, test=30)
    images, labels = data.train.pixels.numpy().reshape(-1, 20, 20), data.train.labels.numpy()  # type: ignore[union-attr]
    first, again, other = (train_easypr(images, labels, 3, seed, at_least=0) for seed in (1, 1, 2))
    assert all(map(np.array_equal, first.layers, again.layers))
    assert not np.array_equal(first.layers[0], other.layers[0])
    test = data.test.pixels.numpy().reshape(-1, 20, 20)
    assert (first.predict(test) == data.test.labels.numpy()).mean() > 0.9  # type: ignore[union-attr]
