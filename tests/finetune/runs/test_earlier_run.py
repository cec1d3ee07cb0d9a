"""Fine-tuning that starts from an earlier network, on the same classes and on others."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dbn.data import digits, load_data
from dbn.errors import ModelFileError, SettingError
from finetune import Network
from finetune.runs.network_run import finetune, finetuning_directory
from helpers import Composer

SMALL = ["stack.layers=[20,15]", "training.epochs=3", "study=earlier"]
CODE = "stack.layers=[20,{n_hidden:5,hidden:gaussian}]"
STILL = ["training.learning_rate=1e-12", "schedule=constant", "training.epochs=1", "training.weights=last"]


pytestmark = pytest.mark.filterwarnings("error:Found .* in eval mode")  # Lightning's: dropout would be off


def earlier(compose: Composer, *overrides: str) -> Path:
    """Directory of a run that is done."""
    config = compose("finetune", [*SMALL, "arm=random_relu_dropout", *overrides])
    finetune(config)
    return finetuning_directory(config)


def later(compose: Composer, run: Path, *overrides: str) -> Network:
    """The network after an epoch that moves nothing."""
    config = compose("finetune", [*STILL, "start=earlier_run", f"init.run={run}", *overrides])
    finetune(config)
    return Network.load(finetuning_directory(config))


STILL_BATCHES = "{kind:batch,momentum:1e-9}"  # running averages do not move during the epoch


@pytest.mark.parametrize("dropout", ["none", "hidden"])
@pytest.mark.parametrize("normalisation", ["null", STILL_BATCHES])
def test_it_goes_on_where_the_other_ended(dropout: str, normalisation: str, compose: Composer) -> None:
    """What it computes in evaluation is the same, whatever its dropout."""
    own = f"network.normalisation={normalisation}"
    run = earlier(compose, own)
    network = later(compose, run, f"dropout={dropout}", own, "network.activation=relu")
    images = load_data(digits()).test
    before = Network.load(run).predict_proba(images)
    torch.testing.assert_close(network.predict_proba(images), before, rtol=0, atol=1e-5)
    assert network.sizes == [64, 20, 15, 10]


def test_other_classes_get_a_new_output_layer(tmp_path: Path, compose: Composer) -> None:
    run = earlier(compose)
    source = digits()
    assert source.train_labels is not None
    few = source.train_labels < 4
    images = source.train_images[few].squeeze(1).numpy()
    np.savez(tmp_path / "few.npz", images=images, labels=np.array(["a", "b", "c", "d"])[source.train_labels[few]])
    own = ["data=npz", f"data.path={tmp_path / 'few.npz'}", "data.maximum=16", "network.activation=relu"]
    network, before = later(compose, run, *own), Network.load(run)
    assert network.sizes == [64, 20, 15, 4]
    assert network.known_meaning.classes == ("a", "b", "c", "d")
    x = torch.rand(5, 64)
    torch.testing.assert_close(network.transform(x, features=True), before.transform(x, features=True))
    assert network.layers[-1].weight.detach().std() == pytest.approx(0.01, rel=0.5)
    assert float(network.layers[-1].bias.detach().abs().max()) < 1e-6


def test_the_same_network_by_another_path_is_the_same_run(tmp_path: Path, compose: Composer) -> None:
    run = earlier(compose)
    copied = tmp_path / "copied.safetensors"
    copied.write_bytes((run / "network.safetensors").read_bytes())
    options = [*STILL, "start=earlier_run", "network.activation=relu"]
    first = finetune(compose("finetune", [*options, f"init.run={run}"]))
    again = finetune(compose("finetune", [*options, f"init.run={copied}"]))
    assert again == first, "not trained again"
    assert first["kind"] == "control"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["network.activation=sigmoid"], "Use that"),
        (["network.activation=relu", "normalisation=batch"], "Use that"),
        (["network.activation=relu", "data=npz", "data.path=other.npz"], "pixels"),
        (["network.activation=relu", "task=autoencoder", CODE], "Use task=classifier"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(overrides: list[str], words: str, compose: Composer) -> None:
    np.savez("other.npz", images=np.random.default_rng(0).random((60, 7, 7)), labels=np.arange(60) % 3)
    run = earlier(compose)
    with pytest.raises(SettingError, match=words):
        later(compose, run, *overrides)


def test_a_run_that_is_not_there_is_named(tmp_path: Path, compose: Composer) -> None:
    with pytest.raises(ModelFileError, match="no such network"):
        later(compose, tmp_path / "nowhere", "network.activation=relu")
    with pytest.raises(SettingError, match=r"init\.run is not set"):
        finetune(compose("finetune", [*STILL, "start=earlier_run"]))
