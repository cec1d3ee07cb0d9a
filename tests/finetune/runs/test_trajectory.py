"""Trajectories in function space: what is recorded, resumed to the bit, the same for networks that train together."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dbn.data import DataSet
from dbn.errors import DataError, SettingError
from finetune.networks.network import Network
from finetune.runs import network_run
from finetune.runs.network_run import finetune, finetune_seeds, finetuning_directory
from finetune.runs.recorded_trajectory import TRAJECTORY_FILE, read_trajectory
from finetune.runs.trajectory import Trajectory, snapshot_epochs
from helpers import Composer

SMALL = ["arm=random_relu_dropout", "stack.layers=[12,9]", "training.epochs=4", "training.trajectory=30"]


class StoppedError(Exception):
    """Stands for a kill."""


def network_of(directory: Path) -> Network:
    """The trained network of a run."""
    return Network.load(directory)


@pytest.mark.parametrize("epochs", [1, 2, 49, 50, 51, 60, 100, 365, 5000, 10**6])
def test_snapshots_start_before_training_and_end_with_it(epochs: int) -> None:
    chosen = snapshot_epochs(epochs)
    assert len(chosen) == min(epochs + 1, 50)
    assert (chosen[0], chosen[-1]) == (0, epochs)
    gaps = [later - earlier for earlier, later in pairwise(chosen)]
    assert min(gaps) >= 1
    assert gaps[:2] == [1, 1][:epochs]
    if epochs >= 5000:  # even in the logarithm where that leaves nothing to round
        late = [later / earlier for earlier, later in pairwise(chosen[-12:])]
        assert max(late) / min(late) == pytest.approx(1, abs=0.02)


def test_it_starts_at_the_starting_network_and_ends_at_the_trained_one(
    compose: Composer, digits_data: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[torch.Tensor] = []
    shown = digits_data.validation.sample(30)
    starting_points = network_run.starting_points

    def watched(*arguments: Any) -> Any:
        found = starting_points(*arguments)
        with torch.no_grad():
            starts.append(found[0].network.eval()(shown).softmax(1))
        found[0].network.train()
        return found

    monkeypatch.setattr(network_run, "starting_points", watched)
    config = compose("finetune", [*SMALL, "training.weights=last"])
    finetune(config)
    found = read_trajectory(finetuning_directory(config))
    assert found is not None
    assert found.epochs.tolist() == [0, 1, 2, 3, 4]
    assert found.outputs.shape == (5, 30, 10)
    with torch.no_grad():
        end = network_of(finetuning_directory(config))(shown).softmax(1)
    torch.testing.assert_close(torch.from_numpy(found.outputs[0]), starts[0], rtol=1e-3, atol=1e-6)  # float16
    torch.testing.assert_close(torch.from_numpy(found.outputs[-1]), end, rtol=1e-3, atol=1e-6)
    assert abs(found.outputs[0] - found.outputs[-1]).max() > 0.3


def test_a_run_learns_the_same_bits_with_and_without(compose: Composer) -> None:
    config, without = compose("finetune", SMALL), compose("finetune", [*SMALL, "training.trajectory=0", "study=other"])
    finetune(config)
    finetune(without)
    assert read_trajectory(finetuning_directory(without)) is None
    for name in ("network.safetensors", "metrics.csv"):
        assert (finetuning_directory(config) / name).read_bytes() == (finetuning_directory(without) / name).read_bytes()


@pytest.mark.parametrize("n", [1, 3])
def test_a_run_that_was_stopped_records_the_same_bits(
    n: int, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [*SMALL, "training.epochs=5", f"n_parallel_seeds={n}", "checkpoint_seconds=0"]
    whole, stopped = compose("finetune", overrides), compose("finetune", [*overrides, "study=stopped"])
    finetune_seeds(whole)
    record = Trajectory.record

    def stopping(self: Trajectory, module: Any) -> None:
        if self.finished == 3:
            raise StoppedError
        record(self, module)

    with monkeypatch.context() as patched:
        patched.setattr(Trajectory, "record", stopping)
        with pytest.raises(StoppedError):
            finetune_seeds(stopped)
    finetune_seeds(stopped)
    for seed in range(n):
        files = [finetuning_directory({**config, "seed": seed}) / TRAJECTORY_FILE for config in (whole, stopped)]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_networks_that_train_together_record_what_each_records_alone(compose: Composer) -> None:
    together = compose("finetune", [*SMALL, "n_parallel_seeds=2"])
    finetune_seeds(together)
    for seed in (0, 1):
        alone = compose("finetune", [*SMALL, "study=alone", f"seed={seed}"])
        finetune(alone)
        expected = read_trajectory(finetuning_directory(alone))
        found = read_trajectory(finetuning_directory({**together, "seed": seed}))
        assert expected is not None
        assert found is not None
        assert abs(found.outputs - expected.outputs).max() < 2e-3
    assert abs(found.outputs[0] - read(together).outputs[0]).max() > 0.01, "each seed starts in a place of its own"


def read(config: dict[str, Any]) -> Any:
    """The trajectory of the configuration's first seed."""
    return read_trajectory(finetuning_directory(config))


def test_training_that_stops_early_is_recorded_to_its_end(compose: Composer) -> None:
    """Epochs are recorded up to where patience ran out, also where that is no epoch of the plan."""
    overrides = [
        *SMALL,
        "training.epochs=3000",
        "training.patience=9",
        "training.learning_rate=0.05",
        "schedule=constant",
    ]
    config = compose("finetune", overrides)
    result = finetune(config)
    assert read(config).epochs[-1] == result["epochs"]
    assert result["epochs"] not in snapshot_epochs(3000), "or this tests nothing"


def test_what_cannot_be_recorded_is_refused(compose: Composer) -> None:
    with pytest.raises(SettingError, match=r"training\.trajectory=289: data=digits has 288 validation images"):
        finetune(compose("finetune", [*SMALL, "training.trajectory=289"]))
    with pytest.raises(SettingError, match=r"training\.trajectory=-1"):
        finetune(compose("finetune", [*SMALL, "training.trajectory=-1"]))
    autoencoder = ["task=autoencoder", "task.baselines=[]", "stack.layers=[9,{n_hidden:3,hidden:gaussian}]"]
    with pytest.raises(SettingError, match=r"training\.trajectory=30, .*: an autoencoder"):
        finetune(compose("finetune", [*SMALL, *autoencoder]))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    assert read_trajectory(tmp_path) is None
    (tmp_path / TRAJECTORY_FILE).write_bytes(b"12345678{")
    with pytest.raises(DataError, match=r"trajectory\.safetensors: not readable"):
        read_trajectory(tmp_path)
    save_file({"outputs": torch.zeros(2, 3, 4), "epochs": torch.arange(3)}, tmp_path / TRAJECTORY_FILE)
    with pytest.raises(DataError, match="do not fit"):
        read_trajectory(tmp_path)
