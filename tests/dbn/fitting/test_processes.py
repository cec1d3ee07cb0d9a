"""Several processes do the work of one: the same images, the same weights, one set of files."""

import csv
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dbn.errors import RunConflictError
from dbn.fitting import processes
from dbn.fitting.processes import announce_runs, wait_for_announcement

TWO = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
SMALL = [
    "stack.layers=[20,12]", "stack.every_layer.epochs=2", "training.epochs=3", "training.batch_size=50",
    "schedule=constant",
]  # fmt: skip


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """dbn-finetune, in a process of its own or several."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CI": "true"}
    command = [sys.executable, "-m", "finetune.train", *SMALL, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def result_of(folder: Path, *arguments: str) -> tuple[Path, dict[str, Any]]:
    """The run's directory and result."""
    done = call(folder, *arguments)
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("runs/*/finetune/*/result.json")
    return file.parent, json.loads(file.read_text())


def curves(directory: Path) -> list[dict[str, float]]:
    """Every metric by epoch."""
    with (directory / "metrics.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def losses(directory: Path) -> list[float]:
    """Training loss by epoch."""
    with (directory / "metrics.csv").open() as file:
        return [float(row["train/loss"]) for row in csv.DictReader(file)]


COMPOSED = {
    "class_rbm_random_sigmoid_discriminative": ["network=class_rbm", "start=random_sigmoid", "training.generative=0"],
}
"""What composes arms that have no file."""


@pytest.mark.parametrize("arm", ["random_relu", "random_relu_batchnorm", "conv_random_relu_batchnorm", *COMPOSED])
def test_two_processes_train_the_network_that_one_trains(arm: str, tmp_path: Path) -> None:
    """Without noise, up to the order in which numbers add up: each image once an epoch, metrics of all images."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    layers = ["stack.layers=[{kind:convolution,maps:6,kernel:3,padding:1,pool:2},12]"] if arm.startswith("conv") else []
    chosen = [*COMPOSED.get(arm, [f"arm={arm}"]), *layers]
    one, expected = result_of(tmp_path / "one", *chosen)
    two, found = result_of(tmp_path / "two", *chosen, *TWO)
    assert found["arm"] == arm
    weights, others = (load_file(folder / "network.safetensors") for folder in (one, two))
    for name, weight in weights.items():
        torch.testing.assert_close(others[name], weight, rtol=0, atol=1e-4, msg=name)
    assert losses(two) == pytest.approx(losses(one), rel=1e-4)
    for row, other in zip(*(curves(folder) for folder in (one, two)), strict=True):
        assert {*row} >= {"validation/error", "validation/nll", "validation/calibration_error"}
        assert other == pytest.approx(row, abs=2e-3)  # one image of 288 is 3.5e-3
    for name, value in expected["metrics"].items():
        assert found["metrics"][name] == pytest.approx(value, abs=2e-3), name


def test_two_processes_pretrain_and_fine_tune_and_go_on_where_they_were(tmp_path: Path) -> None:
    directory, result = result_of(tmp_path, "arm=dbn_dropout", "training.epochs=30", *TWO)
    assert result["metrics"]["test/error"] < 0.3
    rows = [path.read_text().splitlines() for path in tmp_path.glob("runs/*/*/*/metrics.csv")]
    assert sorted(len(lines) for lines in rows) == [1 + 2 * 2, 1 + 30]
    (directory / "result.json").unlink()
    before = (directory / "network.safetensors").read_bytes()
    assert call(tmp_path, "arm=dbn_dropout", "training.epochs=30", *TWO).returncode == 0
    assert (directory / "network.safetensors").read_bytes() == before
    again = call(tmp_path, "arm=dbn_dropout", "training.epochs=30", *TWO)
    assert again.returncode == 0
    assert "done already" in again.stdout


def test_in_a_multirun_they_are_refused_with_what_to_use(tmp_path: Path) -> None:
    done = call(tmp_path, "-m", "seed=0,1", "arm=random_relu", *TWO)
    assert done.returncode == 2
    assert "hydra/launcher=slurm_ddp" in done.stderr
    assert "Traceback" not in done.stderr


def test_seeds_that_train_together_are_for_one_process(tmp_path: Path) -> None:
    done = call(tmp_path, "arm=random_relu", "n_parallel_seeds=2", *TWO)
    assert done.returncode == 2
    assert "n_parallel_seeds=1" in done.stderr


def test_the_others_wait_for_the_word_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which may wait for a lock: of another start's word they take no notice."""
    for name, value in {"JOB_ID": "7", "STEP_ID": "0", "NTASKS": "2"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "0")
    announce_runs(tmp_path, ["dbn_seed3"])
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    with ThreadPoolExecutor() as pool:
        heard = pool.submit(wait_for_announcement, tmp_path)
        with pytest.raises(FutureTimeout):
            heard.result(timeout=0.5)
        announce_runs(tmp_path, ["dbn_seed0", "dbn_seed2"])
        assert heard.result(timeout=10) == ["dbn_seed0", "dbn_seed2"]
    announce_runs(tmp_path, None)
    with pytest.raises(RunConflictError, match="first process refuses"):
        wait_for_announcement(tmp_path)
    monkeypatch.delenv("SLURM_STEP_ID")
    assert wait_for_announcement(tmp_path) is None


def test_gradients_stay_where_they_are_when_they_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other memory may be aligned otherwise, and products then round otherwise: a resumed fit would differ."""
    monkeypatch.setattr(processes, "is_distributed", lambda: True)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda flat: flat.mul_(2))
    module = torch.nn.Linear(3, 2)
    module(torch.rand(4, 3)).sum().backward()
    gradients = [parameter.grad for parameter in module.parameters()]
    before = [(gradient.data_ptr(), 2 * gradient) for gradient in gradients if gradient is not None]
    processes.add_gradients(module)
    for parameter, (place, expected) in zip(module.parameters(), before, strict=True):
        assert parameter.grad is not None
        assert parameter.grad.data_ptr() == place
        assert torch.equal(parameter.grad, expected)
