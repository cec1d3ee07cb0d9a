"""EasyPR's recogniser: its features and its shipped weights, its training, and its place among a study's baselines."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dbn.data import Source, digits, easypr, load_data
from dbn.errors import DataError, SettingError
from finetune import baseline_runs, easypr_network
from finetune.baseline_runs import check_baselines, run_baselines
from finetune.easypr_features import easypr_features
from finetune.easypr_network import EasyPRNetwork, backpropagate, changed, filled_up, train_easypr
from finetune.predictions import read_predictions
from helpers import Composer


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


def test_features_by_hand() -> None:
    """A bar of 4 x 8 pixels, in a corner: it moves to rows 6 to 13, columns 8 to 11, so to 4 x 2 of the small image."""
    image = np.zeros((1, 20, 20), np.uint8)
    image[0, 0:8, 16:20] = 200
    image[0, 0:2, 16:18] = 21  # still ink, and above the threshold after averaging too
    (features,) = easypr_features(image)
    columns, rows, small = features[:10], features[10:20], features[20:].reshape(10, 10)
    assert columns.tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0]
    assert rows.tolist() == [0, 0, 0, 1, 1, 1, 1, 0, 0, 0]
    assert small[3:7, 4:6].tolist() == [[21, 200], [200, 200], [200, 200], [200, 200]]
    assert small.sum() == 21 + 7 * 200


def test_projections_are_relative_and_squares_are_rounded() -> None:
    image = np.zeros((20, 20), np.uint8)
    image[:, 0] = image[:, 19] = image[0, :] = 90  # ink up to every edge: nothing moves
    (features,) = easypr_features(image[None])
    assert features[20] == 68  # (3 * 90 + 0 + 2) // 4
    assert features[21] == 45
    assert features[:10].tolist() == [1, *[0.1] * 8, 1]
    assert features[10:20].tolist() == [1, *[0.2] * 9]


def test_a_character_s_place_does_not_matter() -> None:
    random = np.random.default_rng(0)
    character = random.integers(21, 256, (9, 6)).astype(np.uint8)
    images = np.zeros((3, 20, 20), np.uint8)
    for image, (y, x) in zip(images, [(0, 0), (11, 14), (4, 7)], strict=True):
        image[y : y + 9, x : x + 6] = character
    features = easypr_features(images)
    assert np.array_equal(features[0], features[1])
    assert np.array_equal(features[0], features[2])


def test_an_empty_image_has_features_of_zero_and_other_images_are_refused() -> None:
    assert not easypr_features(np.zeros((1, 20, 20), np.uint8)).any()
    with pytest.raises(DataError, match=r"images of 20 x 20 bytes, not uint8 of \(28, 28\)"):
        easypr_features(np.zeros((1, 28, 28), np.uint8))


def test_steps_are_those_of_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two epochs against torch's SGD with momentum on half the squared error, an image a step, in the same order."""
    monkeypatch.setattr(easypr_network, "MOST_EPOCHS", 2)
    monkeypatch.setattr(easypr_network, "LEAST_CHANGE", 0.0)
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


def test_small_classes_are_filled_up_with_slightly_changed_images() -> None:
    random = np.random.default_rng(0)
    images = np.zeros((5, 20, 20), np.uint8)
    images[:, 8:12, 8:12] = 250
    labels = np.array([0, 0, 0, 0, 2])
    filled, filled_labels = filled_up(images, labels, 4, random)
    assert np.bincount(filled_labels).tolist() == [4, 0, 4]
    assert np.array_equal(filled[:5], images)
    assert (filled_labels[:5] == labels).all()
    centres = [np.argwhere(changed(images[0], random) > 20).mean(0) for _ in range(100)]
    moved = np.abs(np.array(centres) - 9.5).max(1)
    assert 1.5 < moved.max() <= 2.1  # of a shift by 2
    dark_edge = np.full((20, 20), 77, np.uint8)
    assert np.array_equal(changed(dark_edge, random), dark_edge)  # what comes in is as grey as the edge


def bars(n: int) -> Source:
    """Upright, level and slanting bars, with noise."""
    random = np.random.default_rng(1)
    images = random.integers(0, 60, (n, 20, 20))
    for number, image in enumerate(images):
        place = random.integers(7, 13)
        if number % 3 == 0:
            image[:, place] = 255
        elif number % 3 == 1:
            image[place] = 255
        else:
            image[np.arange(20), np.arange(20)] = 255
    tensor = torch.from_numpy(images.astype(np.uint8)).unsqueeze(1)
    return Source("easypr", tensor, torch.arange(n) % 3, classes=("i", "zh_yi", "x"))


def test_it_learns_and_its_seed_decides() -> None:
    data = load_data(bars(150), validation=0, test=30)
    images, labels = data.train.pixels.numpy().reshape(-1, 20, 20), data.train.labels.numpy()  # type: ignore[union-attr]
    first, again, other = (train_easypr(images, labels, 3, seed, at_least=0) for seed in (1, 1, 2))
    assert all(map(np.array_equal, first.layers, again.layers))
    assert not np.array_equal(first.layers[0], other.layers[0])
    test = data.test.pixels.numpy().reshape(-1, 20, 20)
    assert (first.predict(test) == data.test.labels.numpy()).mean() > 0.9  # type: ignore[union-attr]


def test_a_study_has_it_once_for_each_seed_with_predictions(compose: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []

    def train(images: NDArray[np.uint8], labels: NDArray[np.int64], n_classes: int, seed: int) -> EasyPRNetwork:
        trained.append(seed)
        return train_easypr(images, labels, n_classes, seed, at_least=0)

    monkeypatch.setitem(baseline_runs.RECOGNISERS, "easypr", train)
    data = load_data(bars(60), validation=0, test=15)
    for seed in (0, 1, 1):
        run_baselines(compose("finetune", ["data=easypr", "task.baselines=[easypr]", f"seed={seed}"]), data)
    assert trained == [0, 1]
    config = compose("finetune", ["data=easypr", "task.baselines=[easypr]", "data.n_labelled=45"])
    run_baselines(config, data)
    folder = Path(config["paths"]["runs"]) / "default" / "baseline"
    assert sorted(path.name for path in folder.iterdir()) == ["easypr_45_seed0", "easypr_seed0", "easypr_seed1"]
    result = json.loads((folder / "easypr_seed1" / "result.json").read_text())
    assert (result["stage"], result["task"], result["arm"], result["seed"]) == ("baseline", "classifier", "easypr", 1)
    assert result["classes"] == ["i", "zh_yi", "x"]
    predictions = read_predictions(folder / "easypr_seed1")
    assert predictions is not None
    assert np.array_equal(predictions.label, data.test.labels.numpy())  # type: ignore[union-attr]
    assert result["metrics"]["test/error"] == (predictions.label != predictions.predicted).mean()
    assert "validation/error" not in result["metrics"]


def test_a_recogniser_of_other_data_or_of_no_name_is_refused(compose: Composer) -> None:
    data = load_data(digits())
    with pytest.raises(SettingError, match=r"task\.baselines=\['easypr'\]: .*data=easypr, this is data=digits"):
        check_baselines(compose("finetune", ["task.baselines=[easypr]"]), data)
    with pytest.raises(SettingError, match=r"task\.baselines='pca': no such choice"):
        check_baselines(compose("finetune", ["task.baselines=[pca]"]), data)
