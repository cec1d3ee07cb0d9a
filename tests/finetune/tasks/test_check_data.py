"""One rule for every arm: what the pretrained one is refused, the random ones it is compared with are refused."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from dbn import DBN, RBM
from dbn.errors import DataError, SettingError
from dbn.models.units import Bernoulli, Gaussian
from finetune.runs.network_run import finetune
from helpers import Composer

SMALL = ["stack.layers=[9]", "stack.every_layer.epochs=1", "training.epochs=2", "data=npz"]
AUTOENCODER = [
    "task=autoencoder",
    "task.baselines=[]",
    "stack.layers=[9,{n_hidden:3,hidden:gaussian,learning_rate:0.001}]",
]
ARMS = ["dbn", "random_relu", "random_sigmoid_dropout", "marginals"]


def saved(folder: Path, factor: float = 1.0, outlier: str | None = None) -> list[str]:
    """300 digits in [0, 1] times a factor, with one value of 1.7 in one split; returns the overrides that read them."""
    digits = load_digits()
    images, labels = (digits.images[:400] / 16 * factor).astype("f4"), digits.target[:400]
    arrays = {"images": images[:300], "labels": labels[:300], "test_images": images[300:], "test_labels": labels[300:]}
    if outlier:
        arrays[outlier][5, 3, 3] = 1.7
    np.savez(folder / "mine.npz", **arrays)
    return [*SMALL, f"data.path={folder}/mine.npz"]


@pytest.mark.parametrize("arm", ARMS)
def test_floats_to_255_are_refused_for_every_arm_in_the_same_words_and_the_cure_trains(
    arm: str, compose: Composer, tmp_path: Path
) -> None:
    overrides = [*saved(tmp_path, 255.0), f"arm={arm}"]
    with pytest.raises(DataError) as caught:
        finetune(compose("finetune", overrides))
    assert str(caught.value).startswith(
        "data.maximum=null: the images of data=npz go from 0 to 255, and what stands for 1.0 is not guessed."
    )
    assert not list(tmp_path.glob("runs/**/checkpoints")), "nothing was trained"
    (cure,) = re.findall(r"Set (data\.maximum=[\d.]*\d) if the largest value stands for 1", str(caught.value))
    cured = finetune(compose("finetune", [*overrides, cure]))["metrics"]
    scaled = finetune(compose("finetune", [*saved(tmp_path), f"arm={arm}", "study=scaled"]))["metrics"]
    assert cured["test/nll"] == pytest.approx(scaled["test/nll"], rel=1e-3)


@pytest.mark.parametrize("arm", ["dbn", "random_relu"])
@pytest.mark.parametrize("array", ["images", "test_images"])
def test_one_value_outside_is_enough_wherever_it_is(arm: str, array: str, compose: Composer, tmp_path: Path) -> None:
    overrides = [*saved(tmp_path, outlier=array), f"arm={arm}"]
    with pytest.raises(DataError, match=r"images of data=npz go from 0 to 1\.7, .*data\.maximum=1\.7 "):
        finetune(compose("finetune", overrides))
    finetune(compose("finetune", [*overrides, "data.maximum=1.7"]))


def test_a_labelled_subset_does_not_hide_what_is_outside(compose: Composer, tmp_path: Path) -> None:
    """A random arm that sees ten of the images is refused what the pretrained one, which sees all, is refused."""
    overrides = [*saved(tmp_path, outlier="images"), "arm=random_relu", "data.n_labelled=10"]
    with pytest.raises(DataError, match=r"to 1\.7"):
        finetune(compose("finetune", overrides))


def test_stacks_for_later_runs_are_not_pretrained_on_what_is_outside(compose: Composer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="images of data=npz go"):
        finetune(compose("finetune", [*saved(tmp_path, outlier="test_images"), "arm=dbn", "pretrain_only=true"]))
    assert not list(tmp_path.glob("runs/**/*.safetensors"))


def test_standardised_features_are_for_random_arms_and_for_stacks_of_real_units(
    compose: Composer, tmp_path: Path
) -> None:
    standardised = [*saved(tmp_path, 255.0), "data.standardise=true"]
    assert finetune(compose("finetune", [*standardised, "arm=random_relu"]))["metrics"]["test/error"] < 0.7
    for arm in ("dbn", "marginals"):
        with pytest.raises(DataError, match=r"stack\.visible=bernoulli needs .*set stack\.visible=gaussian as well"):
            finetune(compose("finetune", [*standardised, f"arm={arm}"]))
    for arm in ("dbn", "marginals", "random_relu"):
        finetune(compose("finetune", [*standardised, f"arm={arm}", "stack.visible=gaussian", "study=real"]))


@pytest.mark.parametrize("arm", ["dbn", "random_sigmoid"])
def test_standardised_features_have_no_cross_entropy(arm: str, compose: Composer, tmp_path: Path) -> None:
    """Refused for either arm; the cure trains on squared error, and no cross-entropy is reported."""
    overrides = [*saved(tmp_path), *AUTOENCODER, f"arm={arm}", "data.standardise=true", "training.learning_rate=0.001"]
    with pytest.raises(DataError, match=r"an autoencoder's cross-entropy .*set stack\.visible=gaussian as well"):
        finetune(compose("finetune", overrides))
    metrics = finetune(compose("finetune", [*overrides, "stack.visible=gaussian"]))["metrics"]
    assert {name.split("/")[1] for name in metrics} == {"squared_error"}
    assert metrics["test/squared_error"] > 0
    unit_interval = finetune(compose("finetune", [*overrides, "data.standardise=false", "study=unit"]))
    assert unit_interval["metrics"]["test/cross_entropy"] > 0


def test_rectified_visible_units_do_not_let_cross_entropy_see_more_than_one(compose: Composer, tmp_path: Path) -> None:
    overrides = [*saved(tmp_path, 3.0), *AUTOENCODER, "arm=random_sigmoid", "stack.visible=relu"]
    with pytest.raises(DataError, match=r"images of data=npz go from 0 to 3, .*data\.maximum=3 "):
        finetune(compose("finetune", overrides))


def test_the_units_of_a_stack_of_one_s_own_decide(compose: Composer, tmp_path: Path) -> None:
    for units in (Bernoulli, Gaussian):
        torch.manual_seed(0)
        hidden = [RBM(units(64), Bernoulli(9), weight_std=0.01), RBM(Bernoulli(9), Gaussian(3), weight_std=0.01)]
        DBN(hidden[:1]).save(tmp_path / f"{units.kind}.safetensors")
        DBN(hidden).save(tmp_path / f"{units.kind}_code.safetensors")
    own = [*saved(tmp_path), "arm=dbn", "data.standardise=true"]
    finetune(compose("finetune", [*own, f"init.stack={tmp_path}/gaussian.safetensors"]))
    with pytest.raises(DataError, match=r"stack\.visible=bernoulli needs \[0, 1\]"):
        finetune(compose("finetune", [*own, f"init.stack={tmp_path}/bernoulli.safetensors", "study=b"]))
    code = [*saved(tmp_path), *AUTOENCODER, "arm=dbn", f"init.stack={tmp_path}/gaussian_code.safetensors"]
    with pytest.raises(SettingError, match=r"stack\.visible=bernoulli: .*Set stack\.visible=gaussian\."):
        finetune(compose("finetune", [*code, "study=c", "training.learning_rate=0.001"]))
    finetune(compose("finetune", [*code, "study=c", "training.learning_rate=0.001", "stack.visible=gaussian"]))
