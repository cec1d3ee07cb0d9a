"""Training killed at any moment and started again ends with the same bits as training left alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers import stack_directory

SETTINGS = [
    "study=s",
    "sampler=pcd",  # its chains, too, must go on
    "stack.layers=[30,20]",
    "stack.every_layer.epochs=25",
    "stack.every_layer.batch_size=20",
    "network.dropout_hidden=0.2",
    "training.epochs=40",
    "training.patience=30",
    "augment.rotation=10",
]
PRETRAINED = stack_directory("arm=dbn", *SETTINGS)
FINETUNED = Path("runs/s/finetune/dbn_augment_seed0")


def start(folder: Path, checkpoint_seconds: float = 0) -> subprocess.Popen[bytes]:
    """The command, in ``folder``; by default with a checkpoint after every epoch."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CI": "true"}
    command = [sys.executable, "-m", "finetune.train", "arm=dbn", *SETTINGS]
    command.append(f"checkpoint_seconds={checkpoint_seconds}")
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(folder: Path) -> None:
    """Run the command to its end."""
    process = start(folder)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output.decode()


def rows(path: Path) -> int:
    """Epochs in a metrics file."""
    return max(0, len(path.read_text().splitlines()) - 1) if path.is_file() else 0


def kill_when(folder: Path, moment: Callable[[], bool], checkpoint_seconds: float = 0) -> None:
    """Start the command and kill it (SIGKILL) at the first sight of a moment."""
    process = start(folder, checkpoint_seconds)
    deadline = time.monotonic() + 120
    while not moment():
        assert process.poll() is None, "the run ended before the moment to kill it came"
        assert time.monotonic() < deadline
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run left alone."""
    folder = tmp_path_factory.mktemp("undisturbed")
    finish(folder)
    return folder


def test_killed_at_many_moments_ends_with_the_same_bits(undisturbed: Path, tmp_path: Path) -> None:
    pretrained, finetuned = tmp_path / PRETRAINED, tmp_path / FINETUNED
    moments: list[Callable[[], bool]] = [
        lambda: (pretrained / ".hydra/config.yaml").exists(),
        lambda: rows(pretrained / "metrics.csv") >= 7,
        lambda: rows(pretrained / "metrics.csv") >= 15,
        lambda: (pretrained / "checkpoints/layer1.safetensors").exists(),
        lambda: rows(pretrained / "metrics.csv") >= 40,
        lambda: (pretrained / "checkpoints/layer2.safetensors").exists(),
        lambda: (pretrained / "result.json").exists(),
        lambda: (finetuned / "checkpoints/best.ckpt").exists(),
        lambda: rows(finetuned / "metrics.csv") >= 12,
        lambda: rows(finetuned / "metrics.csv") >= 25,
        lambda: (finetuned / "network.safetensors").exists(),
    ]
    for moment in moments:
        kill_when(tmp_path, moment)
    finish(tmp_path)
    assert_same_bits(tmp_path, undisturbed)


def test_epochs_done_again_after_the_last_checkpoint_give_the_same_bits(undisturbed: Path, tmp_path: Path) -> None:
    """Killed with rows of metrics.csv on disk that no checkpoint covers: they are written again as they were."""
    for stage in (PRETRAINED, FINETUNED):
        path = tmp_path / stage / "metrics.csv"
        kill_when(tmp_path, lambda path=path: rows(path) >= 1, checkpoint_seconds=1000)  # type: ignore[misc]
        assert not list((tmp_path / stage).rglob("last.ckpt"))
    finish(tmp_path)
    assert_same_bits(tmp_path, undisturbed)


def assert_same_bits(folder: Path, undisturbed: Path) -> None:
    """Stack, network and metrics are those of the run left alone, and nothing half-written is left."""
    for stage, names in (
        (PRETRAINED, ("dbn.safetensors", "metrics.csv")),
        (FINETUNED, ("network.safetensors", "metrics.csv")),
    ):
        for name in names:
            assert (folder / stage / name).read_bytes() == (undisturbed / stage / name).read_bytes(), name
    assert not list(folder.rglob("*.part"))


def test_finished_layers_are_not_trained_again(undisturbed: Path, tmp_path: Path) -> None:
    pretrained = tmp_path / PRETRAINED
    kill_when(tmp_path, lambda: rows(pretrained / "metrics.csv") >= 30)
    first = pretrained / "checkpoints/layer1.safetensors"
    before = first.stat().st_mtime_ns
    process = start(tmp_path)
    output, _ = process.communicate(timeout=300)
    assert first.stat().st_mtime_ns == before
    assert b"layer 2/2" in output
    assert b"layer 1/2" not in output


def test_a_run_that_is_done_is_not_done_again(undisturbed: Path) -> None:
    result = undisturbed / FINETUNED / "result.json"
    before = result.stat().st_mtime_ns
    finish(undisturbed)
    assert result.stat().st_mtime_ns == before
