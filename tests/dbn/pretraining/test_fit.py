"""``dbn.pretraining.fit`` in a notebook: what it is given is what is trained on, and what it is told is done."""

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dbn import DBN, RBM
from dbn.data import DataSet, Images, Source, load_data
from dbn.errors import DataError, SettingError, UserError
from dbn.models.units import Bernoulli, Gaussian, ReLU, Units
from dbn.pretraining import fit
from dbn.random.streams import stream
from dbn.samplers import ContrastiveDivergence, PersistentContrastiveDivergence

X = torch.rand(60, 16, generator=torch.Generator().manual_seed(1))
BYTES = (X * 255).round().to(torch.uint8)


def trained(images: Any, visible: type[Units] = Bernoulli, **settings: Any) -> Tensor:
    """The weights after two epochs on ``images``."""
    rbm = RBM(visible(16), Bernoulli(3), generator=stream(0, "init"))
    return fit(rbm, images, **{"epochs": 2, "batch_size": 20, **settings}).weight.detach()


@pytest.mark.parametrize(
    "given",
    [
        X.numpy(),
        X.double(),
        X.numpy().astype(np.float64),
        X.reshape(-1, 4, 4),
        X.reshape(-1, 1, 4, 4).numpy(),
        X.clone().requires_grad_(),
        X.T.contiguous().T,
        Images.from_features(X),
        Images.from_features(X.double().numpy()),
    ],
)
def test_the_same_numbers_in_any_shape_and_type_train_to_the_same_bits(given: Any) -> None:
    assert torch.equal(trained(given), trained(X))


def test_zeros_and_ones_of_any_type_train_to_the_same_bits() -> None:
    binary = X > 0.5
    expected = trained(binary.float())
    for given in (binary, binary.numpy(), binary.to(torch.uint8), binary.long(), binary.numpy().astype(np.int16)):
        assert torch.equal(trained(given), expected)


def test_an_rbm_in_float64_is_trained_in_float64() -> None:
    def weights(images: Any) -> Tensor:
        rbm = RBM(Bernoulli(16), Bernoulli(3), generator=stream(0, "init")).double()
        return fit(rbm, images, epochs=2, batch_size=20).weight.detach()

    assert weights(X.numpy()).dtype == torch.float64
    assert torch.equal(weights(X.numpy()), weights(X))
    assert (weights(X) - weights(X).float()).abs().max() > 0


def test_images_of_a_data_set_are_read_as_the_data_set_says() -> None:
    data = load_data(Source("mine", BYTES.reshape(-1, 1, 4, 4), maximum=255.0), validation=10, test=10)
    assert torch.equal(trained(data.train), trained(data.train.features()))
    with pytest.raises(DataError, match=r"data=mine is a whole data set\. .*data\.train"):
        trained(data)


def followed(message: str, **names: Any) -> list[Any]:
    """What the expressions on ``images`` that a message advises give."""
    return [eval(words, names) for words in re.findall(r"images(?: / [\d.]+|\.\w+\([^)]*\))", message)]


@pytest.mark.parametrize(
    ("images", "words"),
    [(X * 255 / X.max(), r"from 0\.\d+ to 255, but Bernoulli visible units need \[0, 1\]"),
     (BYTES, r"whole numbers \(torch\.uint8\) from \d+ to \d+"), (BYTES.numpy().astype(int), r"\(int64\)"),
     (X * 1.7 / X.max(), r"to 1\.7,"), (X * 254.30012, "255 for 8-bit greys")],
)  # fmt: skip
def test_values_that_no_unit_can_have_are_refused_by_range_and_the_cure_trains(images: Any, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        trained(images)
    divided = followed(str(caught.value), images=images)[0]
    assert float(divided.max()) == pytest.approx(1, abs=2e-5)
    assert torch.equal(trained(divided), trained(torch.as_tensor(divided).float()))


def test_values_below_zero_are_not_told_to_be_divided() -> None:
    with pytest.raises(DataError, match=r"from -\S+ to \S+ but Bernoulli.*RBM\(Gaussian\(16\), \.\.\.\)") as caught:
        trained(X - 0.5)
    assert "/" not in str(caught.value)


def test_units_take_what_they_can_have() -> None:
    """Gaussian visible units any real number, rectified ones any that is not negative."""
    for visible, images in ((Gaussian, X - 0.5), (ReLU, X * 3)):
        assert torch.isfinite(trained(images, visible, learning_rate=0.001)).all()
    with pytest.raises(DataError, match="but ReLU visible units need values from 0"):
        trained(X - 0.5, ReLU)


def test_stored_images_with_another_maximum_are_cured_where_they_are_made() -> None:
    pictures = BYTES.reshape(-1, 1, 4, 4).float()
    with pytest.raises(DataError, match=r"Source\(\.\.\., maximum=(\S+)\)") as caught:
        trained(Images(pictures.flatten(1), None, torch.tensor(0.0), torch.tensor(1 / 100)))
    (maximum,) = re.findall(r"maximum=([\d.]+)\)", str(caught.value))
    trained(load_data(Source("mine", pictures, maximum=float(maximum)), validation=0, test=1).train)


@pytest.mark.parametrize(("value", "word"), [(math.nan, "NaN"), (math.inf, "infinite"), (-math.inf, "infinite")])
@pytest.mark.parametrize("visible", [Bernoulli, Gaussian])
@pytest.mark.parametrize("as_images", [False, True])
def test_what_is_no_number_is_called_so_and_found(value: float, word: str, visible: Any, as_images: bool) -> None:
    spoiled = X.clone()
    spoiled[37, 2] = value
    with pytest.raises(DataError, match=rf"images hold {word}.*: the first is image 37 \(counted from 0\)"):
        trained(Images.from_features(spoiled) if as_images else spoiled, visible)


def test_a_number_too_large_for_float32_is_not_called_nan() -> None:
    spoiled = X.double().numpy().copy()
    spoiled[3, 3] = 1e300
    with pytest.raises(DataError, match=r"too large for float32.*image 3 "):
        trained(spoiled, Gaussian)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (X[:0], "no images to train on"),
        (Images.from_features(X[:0]), "no images to train on"),
        (X[:, :15], r"16 visible units, but images have 15 features \(their shape is \(60, 15\)\).*Bernoulli\(15\)"),
        (torch.rand(6, 3, 4, 4), r"16 visible units, but images have 48 features .*\(6, 3, 4, 4\)"),
        (X[0], r"shape \(16,\)"),
        (X.tolist(), "of type list"),
        ("images", "of type str"),
    ],
)
def test_images_that_do_not_fit_are_refused_in_words(images: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        trained(images)


def test_nothing_is_trained_before_a_mistake_is_found() -> None:
    rbm = RBM(Bernoulli(16), Bernoulli(3))
    before = rbm.weight.detach().clone()
    for images, settings in ((X * 2, {}), (X, {"steps": 2}), (X, {"bias": 1})):
        with pytest.raises(UserError):
            fit(rbm, images, bias_from_data=True, **settings)
    assert torch.equal(rbm.weight, before)
    assert not rbm.visible.bias.any()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"weight_std": 0.5}, r"weight_std=0\.5: .*RBM\(visible, hidden, weight_std=0\.5\)"),
        ({"n_hidden": 3}, r"n_hidden=3: .*RBM\(Bernoulli\(16\)"),
        ({"hidden": "gaussian"}, r"hidden='gaussian': .*Gaussian\(3\)"),
        ({"pool": 2}, r"pool=2: .*MaxPooled\(shape, pool=2\)"),
        ({"steps": 3}, r"steps=3: .*a sampler.*ContrastiveDivergence\(3\)"),
        ({"sampler": PersistentContrastiveDivergence(), "steps": 1}, r"PersistentContrastiveDivergence\(1\)"),
        ({"sampler": ContrastiveDivergence}, "sampler=<class .*give a sampler itself"),
        ({"sampler": "pcd"}, "sampler='pcd'"),
        ({"learnig_rate": 0.1}, r"learnig_rate: no such setting\. Did you mean learning_rate"),
        ({"lr": 0.1}, "lr: no such setting.*Known: .*learning_rate"),
        ({"precision": "float16"}, "precision='float16'"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 0.5}, r"seed=0\.5"),
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": 2.5}, r"batch_size=2\.5"),
    ],
)
def test_no_setting_is_without_effect_and_none_is_a_traceback(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        trained(X, **settings)


def test_a_stack_is_not_an_rbm() -> None:
    with pytest.raises(SettingError, match=r"rbm is a DBN: .*pretrain_stack"):
        fit(DBN([RBM(Bernoulli(16), Bernoulli(3))]), X)  # type: ignore[arg-type]


def test_steps_are_those_of_contrastive_divergence() -> None:
    assert torch.equal(trained(X, sampler=ContrastiveDivergence(1)), trained(X))
    assert not torch.equal(trained(X, sampler=ContrastiveDivergence(3)), trained(X))


def test_biases_start_from_the_images() -> None:
    """As good as alone with a tiny learning rate: the visible biases are the logits of the mean image."""
    rbm = RBM(Bernoulli(16), Bernoulli(3))
    fit(rbm, X, epochs=1, learning_rate=1e-9, bias_from_data=True)
    torch.testing.assert_close(rbm.visible.bias.detach(), torch.logit(X.mean(0)), rtol=1e-4, atol=1e-5)


def test_images_and_arrays_are_left_as_they_were() -> None:
    for given in (X.clone(), X.numpy().copy()):
        trained(given)
        np.testing.assert_array_equal(np.asarray(given), X.numpy())


def test_chains_of_one_rbm_are_not_moved_by_another() -> None:
    sampler = PersistentContrastiveDivergence()
    fit(RBM(Bernoulli(8), Bernoulli(3)), X[:, :8], epochs=1, sampler=sampler)
    with pytest.raises(SettingError, match="8 visible units, those of another RBM; this one has 16"):
        trained(X, sampler=sampler)


def test_an_rbm_where_nothing_can_be_trained_is_named() -> None:
    with pytest.raises(SettingError, match="The RBM is on meta"):
        fit(RBM(Bernoulli(16), Bernoulli(3)).to("meta"), X)


def test_a_single_callback_will_do() -> None:
    from pytorch_lightning.callbacks import Callback

    class Counting(Callback):
        epochs = 0

        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            self.epochs += 1

    counting = Counting()
    trained(X, callbacks=counting)
    assert counting.epochs == 2


def test_a_data_set_by_hand_has_its_type() -> None:
    images = Images.from_features(X)
    with pytest.raises(DataError, match="data=by hand is a whole data set"):
        trained(DataSet("by hand", images, images, images, (1, 4, 4), ()))
