"""Predictions, probabilities, features and reconstructions of a trained network, from images as a person has them."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dbn import DBN, RBM, Bernoulli
from dbn.data import DataSet, Source, digits, load_data
from dbn.errors import DataError, SettingError
from finetune import Network
from finetune.networks.meaning import Meaning


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data(digits())


def classifier(data: DataSet, outputs: str = "logits") -> Network:
    network = Network.dense([64, 30, 20, 10], dropout_hidden=0.5)
    network.meaning = Meaning(data.scaling, "classifier", outputs, data.classes)
    return network


def autoencoder(data: DataSet, outputs: str = "pixel_logits") -> Network:
    network = Network.dense([64, 20, 5, 20, 64], code=2)
    network.meaning = Meaning(data.scaling, "autoencoder", outputs)
    return network


def stored(data: DataSet) -> torch.Tensor:
    """The test images as stored, 0 to 16, ``(360, 1, 8, 8)``."""
    return data.test.take(torch.arange(360)).pixels.reshape(-1, 1, 8, 8)


def test_images_as_stored_are_scaled_as_in_training(data: DataSet) -> None:
    network = classifier(data)
    expected = F.softmax(network.eval()(stored(data).flatten(1) / 16.0), 1)
    network.train()
    as_given = [
        stored(data), stored(data).squeeze(1), stored(data).flatten(1), stored(data).numpy(),
        stored(data).numpy().astype(np.int64), stored(data).numpy().astype(np.float64), data.test,
    ]  # fmt: skip
    for images in as_given:
        found = network.predict_proba(images)
        assert isinstance(found, np.ndarray) == isinstance(images, np.ndarray)
        torch.testing.assert_close(torch.as_tensor(found), expected)
        assert np.array_equal(network.predict(images), expected.argmax(1))
    torch.testing.assert_close(network.predict_proba(stored(data) / 16.0, features=True), expected)
    assert network.training, "as it was"


def test_pictures_in_colour_may_have_their_channels_last_and_no_other_sides() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (40, 4, 6, 3), dtype=np.uint8)  # as files of pictures are read
    data = load_data(Source("own", torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy()), None), test=0, validation=5)
    network = Network.dense([72, 5, 72], code=1)
    network.meaning = Meaning(data.scaling, "autoencoder", "pixel_logits")
    first = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(network.transform(pictures), network.transform(first))
    np.testing.assert_array_equal(network.reconstruct(pictures).transpose(0, 3, 1, 2), network.reconstruct(first))
    given = torch.from_numpy(pictures)
    assert torch.equal(network.reconstruct(given).movedim(-1, 1), network.reconstruct(given.movedim(-1, 1)))
    for other in (pictures.transpose(0, 2, 1, 3), pictures.reshape(40, 3, 6, 4), pictures.reshape(40, 8, 9)):
        with pytest.raises(DataError, match=r"trained on images of 3 x 4 x 6"):
            network.predict(other)


def test_standardised_images_are_standardised_as_in_training() -> None:
    data = load_data(digits(), standardise=True)
    network = classifier(data)
    expected = network.eval()(data.test.features()).argmax(1)
    assert torch.equal(network.predict(stored(data)), expected)


@pytest.mark.parametrize("n", [0, 1, 7])
def test_any_number_of_images_in_batches_of_any_size(n: int, data: DataSet) -> None:
    network = classifier(data)
    whole = network.predict_proba(stored(data)[:n])
    assert whole.shape == (n, 10)
    torch.testing.assert_close(network.predict_proba(stored(data)[:n], batch_size=3), whole)
    assert network.predict(stored(data)[:n].numpy()).shape == (n,)


def test_every_layer(data: DataSet) -> None:
    network = classifier(data).eval()
    x = stored(data).flatten(1) / 16.0
    expected = [x, *network.hidden(x)]
    for layer, outputs in enumerate(expected):
        torch.testing.assert_close(network.transform(stored(data), layer), outputs)
    torch.testing.assert_close(network.transform(stored(data)), expected[2])
    assert autoencoder(data).transform(stored(data)).shape == (360, 5)
    for layer in (-1, 4, 1.5):
        with pytest.raises(SettingError, match="layer="):
            network.transform(stored(data), layer)  # type: ignore[arg-type]


def test_reconstructions_are_in_the_units_of_the_images(data: DataSet) -> None:
    network = autoencoder(data).eval()
    expected = torch.sigmoid(network(stored(data).flatten(1) / 16.0))
    found = network.reconstruct(stored(data))
    assert found.shape == stored(data).shape
    torch.testing.assert_close(found.flatten(1), expected * 16)
    torch.testing.assert_close(network.predict(stored(data)), found)
    torch.testing.assert_close(network.reconstruct(stored(data).flatten(1) / 16, features=True), expected)
    real = load_data(digits(), standardise=True)
    network = autoencoder(real, "pixels").eval()
    again = real.scaling.features(network.reconstruct(stored(real)))
    torch.testing.assert_close(again, network(real.test.features()), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("n_visible", "channels", "words"),
    [(192, 1, "data.grey=false."), (64, 3, "data.grey=true."), (64, 2, "channels first or last.")],
)
def test_pictures_in_grey_in_place_of_colour_are_refused_with_the_setting(
    n_visible: int, channels: int, words: str
) -> None:
    stack = DBN([RBM(Bernoulli(n_visible), Bernoulli(3))])
    with pytest.raises(DataError) as refused:
        stack.transform(np.zeros((2, channels, 8, 8), np.float32), features=True)
    assert str(refused.value).endswith(words)


def test_what_a_network_cannot_do_is_said(data: DataSet) -> None:
    with pytest.raises(SettingError, match="cross-entropy"):
        classifier(data, "scores").predict_proba(stored(data))
    with pytest.raises(SettingError, match="task=autoencoder"):
        autoencoder(data).predict_proba(stored(data))
    with pytest.raises(SettingError, match="task=classifier"):
        classifier(data).reconstruct(stored(data))
    with pytest.raises(SettingError, match="poems"):
        Meaning(data.scaling, "classifier", "poems")


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(3, 63), "64 features, from images of 1 x 8 x 8"),
        (torch.zeros(64), "reshape"),
        (torch.full((2, 64), 255, dtype=torch.uint8), "0 to 16"),
        (torch.full((2, 64), -1.0), "0 to 16"),
        (torch.full((2, 64), 0.5), "features=True"),
        (torch.full((2, 64), math.nan), "NaN"),
        (np.full((2, 64), math.inf), "NaN or infinite"),
        ([[0.0] * 64], "numpy array"),
        (np.full((2, 64), "a"), "real numbers"),
    ],
)
def test_other_images_are_refused(images: object, words: str, data: DataSet) -> None:
    with pytest.raises(DataError, match=words):
        classifier(data).predict(images)


def test_features_have_a_range_too(data: DataSet) -> None:
    with pytest.raises(DataError, match="features are from 0 to 1"):
        classifier(data).predict(stored(data).float(), features=True)


def test_images_of_other_data_by_their_own_scaling(data: DataSet) -> None:
    """An image set knows how its values are to be read."""
    source = Source("doubled", stored(data).float() / 8, maximum=2.0)
    images = load_data(source, validation=0, test=0).train
    network = classifier(data)
    assert torch.equal(network.predict(images), network.predict(stored(data)))
