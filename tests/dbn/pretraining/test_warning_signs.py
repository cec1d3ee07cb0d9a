"""Warnings that name cause and cure: each from a fit that fails in its way, none from a healthy one."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from dbn import RBM
from dbn.data import DataSet
from dbn.data.blocks import Block
from dbn.errors import DivergenceError, SettingError
from dbn.models.units import Bernoulli, Gaussian, ReLU, Spin, Units
from dbn.pretraining import DenoisingAutoencoder, JointAutoencoder, LayerSettings, StackRun, fit, pretrain_stacks
from dbn.pretraining.contrastive import RBMTraining
from dbn.pretraining.from_config import layers_of
from dbn.pretraining.stack_run import pretrain, pretrain_seeds, pretraining_config, pretraining_directory
from dbn.random.streams import stream
from helpers import Composer


def warnings_of(
    images: Tensor, caplog: pytest.LogCaptureFixture, visible: type[Units] = Bernoulli, hidden: type[Units] = Bernoulli,
    n_hidden: int = 30, weight_std: float = 0.1, **settings: Any,
) -> list[str]:  # fmt: skip
    """What is logged while an RBM is trained."""
    caplog.clear()
    rbm = RBM(visible(images.shape[1]), hidden(n_hidden), weight_std=weight_std, generator=stream(0, "init"))
    fit(rbm, images, **{"epochs": 10, "batch_size": 20, "learning_rate": 0.1, **settings})
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.fixture(scope="module")
def x(digits_data: DataSet) -> Tensor:
    return digits_data.train.features()


def test_images_that_use_next_to_nothing_of_their_range(x: Tensor, caplog: pytest.LogCaptureFixture) -> None:
    """As where 8-bit images are divided by 255 twice, or by 255 though they are 4-bit."""
    found = warnings_of(x * 0.05, caplog)
    assert (
        "Layer 1: the images' values lie between 0 and 0.05, of which bernoulli visible units take 0 to 1" in found[0]
    )
    assert "data.maximum" in found[0]


def test_spins_are_not_given_zeros_and_ones(x: Tensor, caplog: pytest.LogCaptureFixture) -> None:
    found = warnings_of(x, caplog, Spin, learning_rate=0.02)
    assert "spin visible units take -1 to 1, where 0 is as often the one as the other" in found[0]
    assert not any("take -1 to 1" in text for text in warnings_of(2 * x - 1, caplog, Spin, learning_rate=0.02))


@pytest.mark.parametrize("factor", [0.02, 50.0])
def test_real_values_far_from_unit_variance(factor: float, x: Tensor, caplog: pytest.LogCaptureFixture) -> None:
    standardised = (x - x.mean(0)) / (x.std(0) + 0.1)
    rate = 0.001 / max(1.0, factor**2)
    found = warnings_of(standardised * factor, caplog, Gaussian, learning_rate=rate)
    assert "(root mean square), and gaussian visible units of variance 1" in found[0]
    assert "data.standardise=true" in found[0]


def test_hidden_units_that_are_all_on(x: Tensor, caplog: pytest.LogCaptureFixture) -> None:
    """Bright images push every hidden unit up before the visible biases have learnt that they are bright."""
    bright = {"learning_rate": 0.1, "epochs": 5, "weight_std": 0.01}
    (text,) = warnings_of(1 - 0.5 * x, caplog, **bright)
    assert "Layer 1: all hidden units are on: their mean activation is 0.99" in text
    assert "stack.every_layer.bias_from_data=true" in text
    assert "learning_rate (it is 0.1)" in text
    assert not [text for text in warnings_of(1 - 0.5 * x, caplog, bias_from_data=True, **bright) if "all on" in text]


def test_dead_units(x: Tensor, caplog: pytest.LogCaptureFixture) -> None:
    (text,) = warnings_of(x, caplog, learning_rate=3.0)
    assert "of the hidden units are dead: off for every one of 1000 training images" in text
    assert "Lower stack.every_layer.learning_rate (it is 3)" in text


def test_rectified_units_can_be_dead_too(x: Tensor, caplog: pytest.LogCaptureFixture) -> None:
    found = warnings_of(x, caplog, hidden=ReLU, learning_rate=0.2)
    assert [text for text in found if "of the hidden units are dead" in text]


def test_saturated_weights(digits_data: DataSet) -> None:
    layers = [LayerSettings(n_hidden=30, epochs=2, learning_rate=0.01, weight_std=20.0)]
    (found,) = pretrain_stacks(digits_data, layers, [StackRun()], progress=False)
    (text,) = found.facts[0]["warnings"]
    assert "the weights are saturated" in text
    assert "Lower stack.every_layer.learning_rate (it is 0.01) or stack.every_layer.weight_std (it is 20.0)" in text


def test_reconstructions_that_ignore_the_image(x: Tensor, caplog: pytest.LogCaptureFixture) -> None:
    (text,) = warnings_of(x, caplog, learning_rate=1e-5, weight_std=0.01)
    assert "reconstructions ignore the image" in text
    assert "stack.every_layer.epochs, it is 10" in text


@pytest.mark.parametrize(
    ("visible", "rate", "kinds"), [(Bernoulli, 0.1, "relu"), (Gaussian, 0.05, "gaussian and relu")]
)
def test_a_learning_rate_too_high_for_real_units(
    visible: type[Units], rate: float, kinds: str, x: Tensor, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said at the end of an epoch, once, although later epochs are worse."""
    images = x if visible is Bernoulli else (x - x.mean(0)) / (x.std(0) + 0.1)
    (text,) = [
        text for text in warnings_of(images, caplog, visible, ReLU, learning_rate=rate) if "too high for" in text
    ]
    assert f"the learning rate is too high for {kinds} units: the reconstruction error rose from" in text
    assert "while the norm of the weights grew" in text
    assert f"Lower stack.every_layer.learning_rate (it is {rate}" in text


def test_autoencoders_show_signs_too(digits_data: DataSet) -> None:
    """Of all layers of a joint one."""
    layers = [LayerSettings(n_hidden=n, epochs=2, learning_rate=1e-5, weight_std=0.01) for n in (20, 10)]
    for method in (DenoisingAutoencoder(), JointAutoencoder()):
        (found,) = pretrain_stacks(digits_data, layers, [StackRun()], method=method, progress=False)
        assert "reconstructions ignore the image" in found.facts[0]["warnings"][0]


FAILING = [
    "stack.layers=[12,8]", "stack.every_layer.epochs=3", "stack.every_layer.learning_rate=0.00001",
    "stack.every_layer.weight_std=0.01", "checkpoint_seconds=0",
]  # fmt: skip


class StoppedError(Exception):
    """Stands for a kill."""


def test_results_hold_them_also_of_fits_that_were_interrupted(
    compose: Composer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = pretrain(compose("pretrain", [*FAILING, "study=undisturbed"]))
    assert [text[:8] for text in expected["warnings"]] == ["Layer 1:", "Layer 2:"]
    assert [record.getMessage() for record in caplog.records if "ignore" in record.getMessage()] == expected["warnings"]
    config = compose("pretrain", [*FAILING, "study=disturbed"])
    begin = RBMTraining.begin_block

    def crash(self: Any, block: Block) -> Block:
        if (self.number, self.current_epoch) == (2, 1):
            raise StoppedError
        return begin(self, block)

    with monkeypatch.context() as patch:
        patch.setattr(RBMTraining, "begin_block", crash)
        with pytest.raises(StoppedError):
            pretrain(config)
    assert pretrain(config)["warnings"] == expected["warnings"]
    assert json.loads((pretraining_directory(config) / "result.json").read_text())["warnings"] == expected["warnings"]


def test_every_seed_of_a_group_has_its_own(compose: Composer, caplog: pytest.LogCaptureFixture) -> None:
    results = pretrain_seeds(compose("pretrain", [*FAILING, "n_parallel_seeds=2", "stack.layers=[12]"]))
    logged = [record.getMessage() for record in caplog.records if "ignore" in record.getMessage()]
    assert logged == [f"seed {seed}, {result['warnings'][0]}" for seed, result in enumerate(results)]


@pytest.mark.parametrize(
    ("own", "keys"),
    [
        (["stack.layers=[12,8]"], ["stack.every_layer.learning_rate", "stack.every_layer.learning_rate"]),
        (
            ["stack.layers=[{n_hidden:12,learning_rate:2e-5},8]", "+stack.upper_layers.learning_rate=1e-5",
             "stack.every_layer.learning_rate=0.1"],
            ["stack.layers.0.learning_rate", "stack.upper_layers.learning_rate"],
        ),
        (
            ["stack=convolutional", "stack.every_layer.epochs=2", "stack.layers=[{kind:convolution,maps:3,kernel:3,"
             "learning_rate:1e-6},{n_hidden:4,learning_rate:1e-5}]", "+stack.upper_layers.learning_rate=0.1"],
            ["stack.layers.0.learning_rate", "stack.layers.1.learning_rate"],
        ),
    ],
)  # fmt: skip
def test_the_setting_that_is_advised_is_the_one_that_counts(own: list[str], keys: list[str], compose: Composer) -> None:
    """Wherever the layer's learning rate is given: with the advised key the layer gets another one."""
    options = [*FAILING, "stack.every_layer.weight_std=0.001", *own]
    texts = pretrain(compose("pretrain", options))["warnings"]
    advised = [re.findall(r"or raise (\S+) \(it is", text)[0] for text in texts]
    assert advised == keys
    cured = compose("pretrain", [*options, *(f"{key}=0.0625" for key in keys)])
    assert [layer.learning_rate for layer in layers_of(cured["stack"])] == [0.0625, 0.0625]


def test_other_advice_names_the_layers_own_setting_too(compose: Composer) -> None:
    """That of a fit that diverges, and of a patience without anything to watch."""
    own = ["stack.layers=[8,{n_hidden:6,learning_rate:1e18,patience:1,epochs:2}]", "stack.every_layer.epochs=1"]
    with pytest.raises(DivergenceError, match=r"Lower stack\.layers\.1\.learning_rate \(it is 1e\+18"):
        pretrain(compose("pretrain", own))
    with pytest.raises(SettingError, match=r"^stack\.layers\.1\.patience=1: .* Use stack\.layers\.1\.patience=null"):
        pretrain(compose("pretrain", [*own, "data.validation=0"]))
    cured = [*own, "data.validation=0", "stack.layers.1.patience=null", "stack.layers.1.learning_rate=0.1"]
    reason = "all of stack.layers.1.epochs=2"
    assert pretrain(compose("pretrain", cured))["layers"][1] == {"epochs": 2, "reason": reason}


def test_a_fast_run_of_nothing_is_no_failed_one(compose: Composer) -> None:
    assert pretrain(compose("pretrain", [*FAILING, "+trainer.fast_dev_run=true"]))["warnings"] == []


@pytest.mark.parametrize("arm", ["dbn", "dbn_relu", "dae", "dae_relu", "joint_autoencoder_relu"])
def test_nothing_is_said_of_healthy_fits_of_the_digits(arm: str, compose: Composer) -> None:
    """As conf/ has them."""
    assert pretrain(pretraining_config(compose("finetune", [f"arm={arm}"])))["warnings"] == []


@pytest.mark.parametrize(
    "words",
    [
        ["experiment=mnist_2006", "arm=dbn", "stack.layers=[500,500]"],
        ["experiment=label_efficiency", "arm=dbn_relu"],
        ["experiment=mnist_autoencoder_2006", "stack.layers=[500,{n_hidden:30,hidden:gaussian,learning_rate:0.001}]"],
    ],
)
def test_nor_of_mnist(words: list[str], compose: Composer, data_root: Path) -> None:
    """A fifth of each of three epochs."""
    subset = [f"data.root={data_root / 'mnist'}", "+trainer.limit_train_batches=0.2", "stack.every_layer.epochs=3"]
    assert pretrain(pretraining_config(compose("finetune", [*words, *subset])))["warnings"] == []
