"""Stacks whose hidden units are of other types: what a fit learns, files, resuming, settings."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dbn import DBN
from dbn.data import DataSet
from dbn.errors import DataError, SettingError
from dbn.models.units import make_units
from dbn.pretraining import LayerSettings, pretrain_stack
from finetune.runs.network_run import finetune
from helpers import Composer, stop_at

HIDDEN: list[str | Mapping[str, Any]] = ["spin", {"kind": "binomial", "trials": 3}, "drelu"]
"""Types of hidden units, each with the next layer's visible ones."""


def layers_of(hidden: str | Mapping[str, Any], epochs: int = 2) -> list[LayerSettings]:
    """Two layers of such units."""
    rate = 0.005 if hidden == "drelu" else 0.02  # nothing bounds real-valued units
    return [LayerSettings(n_hidden=n, hidden=hidden, epochs=epochs, learning_rate=rate) for n in (20, 10)]


@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_fit_learns_and_its_file_holds_the_units(
    hidden: str | Mapping[str, Any], digits_data: DataSet, tmp_path: Path
) -> None:
    """Reconstructions of held-out digits are better than the mean of the training digits, in either layer's view."""
    stack = pretrain_stack(digits_data, layers_of(hidden, epochs=20), progress=False)
    stack.save(tmp_path / "dbn.safetensors")
    again = DBN.load(tmp_path / "dbn.safetensors")
    assert again[0].hidden.spec() == again[1].visible.spec() == make_units(hidden, 1).spec()
    x = digits_data.test.features()
    spread = (x - digits_data.train.features().mean(0)).square().sum(1).mean()
    for depth in (1, 2):
        error = (again.down(again.up(x, depth), depth) - x).square().sum(1).mean()
        assert error < 0.8 * spread, depth
    assert torch.equal(again.up(x), stack.up(x))


@pytest.mark.parametrize("hidden", HIDDEN)
def test_it_goes_on_where_it_stopped(
    hidden: str | Mapping[str, Any], digits_data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the second epoch of either layer: the same bits as undisturbed."""
    whole = pretrain_stack(digits_data, layers_of(hidden), progress=False)
    options: dict[str, Any] = {"progress": False, "checkpoint_seconds": 0, "directory": tmp_path}
    for layer in (1, 2):
        with monkeypatch.context() as patch:
            stop_at(patch, layer, epoch=1)
            with pytest.raises(KeyboardInterrupt):
                pretrain_stack(digits_data, layers_of(hidden), **options)
    resumed = pretrain_stack(digits_data, layers_of(hidden), **options)
    for (name, own), other in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(own, other), name


def test_counts_beyond_the_number_of_trials_are_refused(digits_data: DataSet) -> None:
    """Features of digits go to 1, which is within any number of trials; twice that is not within one."""
    twice = replace(digits_data, train=replace(digits_data.train, factor=2 * digits_data.train.factor))
    pretrain_stack(twice, layers_of("bernoulli", 1)[:1], visible={"kind": "binomial", "trials": 2}, progress=False)
    with pytest.raises(DataError, match=r"stack\.visible=binomial needs \[0, 1\]"):
        pretrain_stack(twice, layers_of("bernoulli", 1), visible={"kind": "binomial", "trials": 1}, progress=False)


@pytest.mark.parametrize("hidden", [{"kind": "binomial", "trials": 0}, {"kind": "spin", "trials": 3}])
def test_options_that_do_not_fit_are_refused(hidden: Mapping[str, Any], digits_data: DataSet) -> None:
    with pytest.raises(SettingError, match="trials"):
        pretrain_stack(digits_data, layers_of(hidden), progress=False)


def test_a_command_trains_spins_and_a_network_of_tangents(compose: Composer) -> None:
    """The stack from the configuration, and fine-tuning that starts from it; sigmoid networks do not."""
    words = ["stack.every_layer.hidden=spin", "stack.every_layer.epochs=2", "stack.layers=[20,10]", "training.epochs=1"]
    config = compose("finetune", ["arm=dbn", *words, "network.activation=tanh", "training.weights=last"])
    result = finetune(config)
    assert 0 <= result["metrics"]["test/error"] < 0.9
    with pytest.raises(SettingError, match=r"network\.activation=sigmoid.*pretrained with tanh"):
        finetune(compose("finetune", ["arm=dbn", *words, "study=other"]))
