"""Layers that stop when what is watched on validation images no longer improves."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from dbn import DBN
from dbn.data import DataSet, digits, load_data
from dbn.data.blocks import Block
from dbn.errors import SettingError
from dbn.models.rbm import RBM
from dbn.models.units import Bernoulli
from dbn.pretraining import (
    DenoisingAutoencoder,
    JointAutoencoder,
    LayerSettings,
    PrincipalComponents,
    StackRun,
    fit,
    pretrain_stack,
    pretrain_stacks,
)
from dbn.pretraining.contrastive import RBMTraining
from dbn.pretraining.growing import GrowingStack
from dbn.pretraining.patience import Patience
from dbn.pretraining.stack_run import pretrain, pretrain_seeds, pretraining_directory
from helpers import Composer

EAGER = {"batch_size": 20, "learning_rate": 0.3, "patience": 2, "epochs": 40}
"""Settings under which small layers of the digits soon learn no more."""
LAYERS = [LayerSettings(n_hidden=12, **EAGER), LayerSettings(n_hidden=8, **EAGER)]
COMMAND = [
    "stack.layers=[12,8]", "stack.every_layer.batch_size=20", "stack.every_layer.learning_rate=0.3",
    "stack.every_layer.patience=2", "stack.every_layer.epochs=40", "checkpoint_seconds=0",
]  # fmt: skip


class StoppedError(Exception):
    """Stands for a kill."""


def rows(directory: Path) -> list[dict[str, str]]:
    with (directory / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def epochs_by_rule(values: list[float], patience: int) -> int:
    """Epochs trained until the best value (the highest) is ``patience`` epochs old, from a curve alone."""
    for epoch in range(len(values)):
        if epoch - max(range(epoch + 1), key=lambda k: (values[k], -k)) >= patience:
            return epoch + 1
    return len(values)


def test_the_rule() -> None:
    falling = Patience(2, "free_energy_gap", 2)
    stopped = [falling.exhausted(list(values), k) for k, values in enumerate([(3, 1), (2, 1), (2, 2), (1, 0), (5, 0)])]
    assert stopped == [[], [], [1], [], []]  # an equal value is no improvement
    rising = Patience(1, "pseudo_likelihood", 1)
    assert [rising.exhausted([value], k) for k, value in enumerate([-9.0, -8.0, -8.5])] == [[], [], [0]]


def test_a_layer_stops_by_the_curve_in_its_file_and_says_so(compose: Composer) -> None:
    config = compose("pretrain", COMMAND)
    result = pretrain(config)
    directory = pretraining_directory(config)
    written = rows(directory)
    described = DBN.describe(directory / "dbn.safetensors")["description"]["layers"]
    epochs = [layer["epochs"] for layer in result["layers"]]
    for number, (layer, said) in enumerate(zip(result["layers"], described, strict=True), start=1):
        name = f"layer{number}/pseudo_likelihood"
        curve = [float(row[name]) for row in written if row[name]]
        assert layer["epochs"] == len(curve) == epochs_by_rule(curve, 2) < 40
        best = curve.index(max(curve)) + 1
        assert layer["reason"] == (
            f"pseudo_likelihood has not improved on validation images since epoch {best} (patience=2)"
        )
        assert said["training"] == layer
    assert [int(row["epoch"]) for row in written] == list(range(sum(epochs)))
    assert result["epochs"] == sum(epochs)


def test_operations_are_those_that_were_done_and_weights_those_of_so_many_epochs(digits_data: DataSet) -> None:
    (early,) = pretrain_stacks(digits_data, LAYERS, [StackRun(0)], progress=False)
    epochs = [facts["epochs"] for facts in early.facts]
    assert max(epochs) < 40
    fixed = [LayerSettings(n_hidden=own.n_hidden, **{**EAGER, "patience": None, "epochs": n})
             for own, n in zip(LAYERS, epochs, strict=True)]  # fmt: skip
    (expected,) = pretrain_stacks(digits_data, fixed, [StackRun(0)], progress=False)
    assert [facts["flops"] for facts in early.facts] == [facts["flops"] for facts in expected.facts]
    assert all("all of stack.every_layer.epochs" in facts["training"]["reason"] for facts in expected.facts)
    for name, weight in expected.stack.state_dict().items():
        assert torch.equal(early.stack.state_dict()[name], weight), name


def test_a_member_that_has_stopped_is_frozen(digits_data: DataSet) -> None:
    """Each member of a group is to the bit what it is in a group that trains for its number of epochs."""
    layers, runs = LAYERS[1:], [StackRun(seed) for seed in range(4)]
    together = pretrain_stacks(digits_data, layers, runs, progress=False)
    epochs = [own.facts[0]["epochs"] for own in together]
    assert len(set(epochs)) > 1, "or nobody waited for anybody"
    for number, n in enumerate(epochs):
        fixed = [LayerSettings(n_hidden=8, **{**EAGER, "patience": None, "epochs": n})]
        expected = pretrain_stacks(digits_data, fixed, runs, progress=False)[number]
        assert expected.facts[0]["flops"] == together[number].facts[0]["flops"]
        for name, weight in expected.stack.state_dict().items():
            assert torch.equal(together[number].stack.state_dict()[name], weight), (number, name)


def crash_in(patch: pytest.MonkeyPatch, layer: int, epoch: int) -> None:
    """A crash at the second block of an epoch of a layer."""
    begin = RBMTraining.begin_block

    def crash(self: Any, block: Block) -> Block:
        if (self.number, self.current_epoch, block.number) == (layer, epoch, 1):
            raise StoppedError
        return begin(self, block)

    patch.setattr(RBMTraining, "begin_block", crash)


@pytest.mark.parametrize("n_seeds", [1, 3])
def test_resumed_at_any_moment_it_stops_at_the_same_epoch_with_the_same_bits(
    n_seeds: int, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dbn.data import block_loader

    monkeypatch.setitem(block_loader.IMAGES_PER_BLOCK, "cpu", 400)  # several blocks an epoch
    command = [*COMMAND, f"n_parallel_seeds={n_seeds}"]
    expected = pretrain_seeds(compose("pretrain", [*command, "study=undisturbed"]))
    config = compose("pretrain", [*command, "study=disturbed"])
    epochs = [result["layers"][0]["epochs"] for result in expected]
    for epoch in sorted({2, min(epochs) - 1, (min(epochs) + max(epochs)) // 2 - 1, max(epochs) - 1}):
        with monkeypatch.context() as patch:
            crash_in(patch, 1, epoch)
            with pytest.raises(StoppedError):
                pretrain_seeds(config)
    with monkeypatch.context() as patch:  # after the last epoch's checkpoint, before the layer's file
        patch.setattr(GrowingStack, "add", lambda *arguments: crash())
        with pytest.raises(StoppedError):
            pretrain_seeds(config)
    found = pretrain_seeds(config)
    for one, other in zip(found, expected, strict=True):
        assert (one["layers"], one["flops"], one["metrics"]) == (other["layers"], other["flops"], other["metrics"])
        for name in ("dbn.safetensors", "metrics.csv"):
            files = [pretraining_directory(result["config"]) / name for result in (one, other)]
            assert files[0].read_bytes() == files[1].read_bytes(), name


def crash() -> None:
    raise StoppedError


def test_two_processes_stop_together(tmp_path: Path) -> None:
    """At the epoch that their curve says, which they write once."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CI": "true"}
    two = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    command = [sys.executable, "-m", "dbn.pretrain", *COMMAND, *two]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("runs/*/pretrain/*/result.json")
    layers = json.loads(file.read_text())["layers"]
    written = rows(file.parent)
    for number, layer in enumerate(layers, start=1):
        curve = [float(row[name]) for row in written if row[name := f"layer{number}/pseudo_likelihood"]]
        assert layer["epochs"] == len(curve) == epochs_by_rule(curve, 2) < 40


@pytest.mark.parametrize("method", [DenoisingAutoencoder(), JointAutoencoder()])
def test_autoencoders_watch_their_reconstruction_error(method: Any, digits_data: DataSet, tmp_path: Path) -> None:
    eager = {**EAGER, "patience": 1, "learning_rate": 0.5, "watch": "validation_reconstruction_error"}
    layers = [LayerSettings(n_hidden=n, **eager) for n in (12, 8)]
    runs = [StackRun(0, tmp_path)]
    from dbn.runs.tracking import Tracker

    runs = [StackRun(0, tmp_path, Tracker(tmp_path))]
    (found,) = pretrain_stacks(digits_data, layers, runs, method=method, progress=False)
    written = rows(tmp_path)
    for number in (1, 2) if not method.is_joint else (1,):
        name = f"layer{number}/validation_reconstruction_error"
        curve = [-float(row[name]) for row in written if row[name]]
        assert found.facts[number - 1]["training"]["epochs"] == len(curve) == epochs_by_rule(curve, 1)


def test_the_gap_may_be_watched_where_units_are_real(digits_data: DataSet) -> None:
    settings = {"n_hidden": 12, "hidden": "relu", "epochs": 30, "learning_rate": 0.002, "watch": "free_energy_gap"}
    layers = [LayerSettings(**settings, patience=1), LayerSettings(**settings, patience=1)]
    (found,) = pretrain_stacks(digits_data, layers, [StackRun(0)], progress=False)
    assert all(facts["epochs"] < 30 and "free_energy_gap" in facts["training"]["reason"] for facts in found.facts)


def test_where_there_is_nothing_to_watch_that_is_said_before_training(digits_data: DataSet) -> None:
    def refusal(data: DataSet = digits_data, method: Any = None, **settings: Any) -> str:
        layers = [LayerSettings(n_hidden=5, patience=1), LayerSettings(n_hidden=4, patience=1, **settings)]
        with pytest.raises(SettingError) as refused:
            pretrain_stack(data, layers, method=method, progress=False)
        return str(refused.value)

    bare = load_data(digits(), validation=0)
    assert refusal(bare) == (
        "stack.every_layer.patience=1: data=digits has no validation images to watch. Use "
        "stack.every_layer.patience=null, or data.validation=0.2."
    )
    assert "Use stack.every_layer.watch=validation_reconstruction_error." in refusal(method=DenoisingAutoencoder())
    assert "Use stack.every_layer.patience=null." in refusal(method=PrincipalComponents())
    real = [LayerSettings(n_hidden=5, hidden="relu"), LayerSettings(n_hidden=4, hidden="relu", patience=1)]
    with pytest.raises(SettingError, match=r"layer 2, whose visible units are relu\. Use .*watch=free_energy_gap"):
        pretrain_stack(digits_data, real, progress=False)
    with pytest.raises(SettingError, match="patience=3: fit has no validation images"):
        fit(RBM(Bernoulli(4), Bernoulli(2)), torch.rand(5, 4), patience=3)


def test_a_stack_that_may_stop_early_is_another_one(compose: Composer) -> None:
    """And not the one of another patience or with something else watched; what cannot stop it makes no difference."""
    long = ["stack.layers=[6]", "stack.every_layer.epochs=5"]
    more = [
        [], ["stack.every_layer.patience=2"], ["stack.every_layer.patience=3"],
        ["stack.every_layer.patience=2", "stack.every_layer.watch=free_energy_gap"],
    ]  # fmt: skip
    assert len({pretraining_directory(compose("pretrain", [*long, *own])) for own in more}) == len(more)
    same = [[], ["stack.every_layer.patience=4"], ["stack.every_layer.watch=free_energy_gap"]]
    assert len({pretraining_directory(compose("pretrain", [*long, *own])) for own in same}) == 1
