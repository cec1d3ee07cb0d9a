"""What messages advise, followed literally."""

from pathlib import Path

import numpy as np
import pytest

from dbn.errors import UserError
from finetune.runs.network_run import finetune_seeds
from helpers import Composer

SMALL = ["stack.layers=[8]", "stack.every_layer.epochs=1", "training.epochs=1", "training.batch_size=100"]
CODE = "stack.layers=[8,{n_hidden:3,hidden:gaussian,learning_rate:0.001}]"
CASES = [
    # a mistake, words of the message, what it advises
    (["data.validation=0"], "training.weights=best", ["data.validation=0", "training.weights=last"]),
    (["data.validation=0"], "or data.validation=0.2", ["data.validation=0.2"]),
    (
        ["data.validation=0", "training.weights=last", "training.patience=2"],
        "training.patience=null",
        ["data.validation=0", "training.weights=last", "training.patience=null"],
    ),
    (["training.patience=2", "n_parallel_seeds=2"], "n_parallel_seeds=1", ["training.patience=2"]),
    (["data.n_labelled=5"], "Use 10 to 1149", ["data.n_labelled=10"]),
    (["data.n_labelled=2000"], "or null for all", ["data.n_labelled=1149"]),
    (["stack.layers=[]"], "arm=random_relu", ["stack.layers=[]", "arm=random_relu"]),
    (["stack.layers=[]"], "stack.layers=[200]", ["stack.layers=[200]"]),
    (["stack.layers=[]", "task=autoencoder"], "hidden:gaussian", [CODE, "task=autoencoder"]),
    (["task=autoencoder"], "hidden:gaussian,learning_rate:0.001", [CODE, "task=autoencoder"]),
    (["network.activation=relu"], "network.activation=sigmoid", ["network.activation=sigmoid"]),
    (["network.activation=relu"], "init=he", ["network.activation=relu", "init=he"]),
    (["task=autoencoder", "data.n_labelled=10", CODE], "Leave it at null", ["task=autoencoder", CODE]),
    (["task.baselines=[easypr]"], "Use task.baselines=[]", ["task.baselines=[]"]),
    (["data.validation=1.5"], "a fraction below 1", ["data.validation=0.5"]),
    (["data.test=2000"], "a number from 1 to 1796", ["data.test=100"]),
    (
        ["training.learning_rate=1e18", "arm=random_relu"],
        "Lower training.learning_rate",
        ["arm=random_relu", "training.learning_rate=0.1"],
    ),
    (["stack.every_layer.learning_rate=1e18"], "Lower stack.every_layer", ["stack.every_layer.learning_rate=0.1"]),
    (["training.trajectory=5000"], "Ask for fewer", ["training.trajectory=20"]),
    (["training.validate_every=5"], "from 1 to 1", ["training.validate_every=1"]),
    (["sampler=pcd", "sampler.steps=0"], "from 1", ["sampler=pcd", "sampler.steps=1"]),
    (["augment=crop_flip_colour"], "augment.saturation=0", ["augment=crop_flip_colour", "augment.saturation=0"]),
    (["augment.crop=8"], "Use augment.crop=1, or less", ["augment.crop=1"]),
    (["stack.augment.crop=9"], "Use stack.augment.crop=1, or less", ["stack.augment.crop=1"]),
    (["init.stack=nothing"], "dbn-pretrain writes one", []),
    (["trainer.devices=0"], "from 1", ["trainer.devices=1"]),
    (
        ["data=npz", "data.path=mine.npz"],
        "Use task=autoencoder",
        ["data=npz", "data.path=mine.npz", "task=autoencoder", "task.baselines=[]", "arm=random_relu", CODE],
    ),
]


@pytest.mark.parametrize(("mistake", "words", "cure"), CASES, ids=[" ".join(case[0]) + case[1] for case in CASES])
def test_it_works(mistake: list[str], words: str, cure: list[str], compose: Composer) -> None:
    np.savez("mine.npz", images=np.random.default_rng(0).integers(0, 256, (60, 4, 4)).astype(np.uint8))
    with pytest.raises(UserError) as refused:
        finetune_seeds(compose("finetune", [*SMALL, "study=mistake", *mistake]))
    assert words in str(refused.value)
    for result in finetune_seeds(compose("finetune", [*SMALL, "study=cure", *cure])):
        assert result["metrics"]
    assert list(Path("runs/cure").rglob("result.json"))
