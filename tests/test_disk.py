"""A disk that is full, or cannot be written to: a message, and nothing lost."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import stack_directory

SMALL = [
    "arm=dbn", "stack.layers=[300]", "stack.every_layer.epochs=3", "training.epochs=10", "progress=false",
    "checkpoint_seconds=0",
]  # fmt: skip
STACK = stack_directory(*SMALL).relative_to("runs/default")
FILES = (f"{STACK}/dbn.safetensors", "finetune/dbn_seed0/network.safetensors")


class Disk:
    """A file system of its own, of a size that can be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, options: str) -> bool:
        """Whether this may be done here."""
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            return False


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Of 450 kB: a stack fits, a network and its checkpoints do not."""
    own = Disk(tmp_path)
    if not own.mount("size=450k"):
        pytest.skip("only root may mount a small disk")
    yield own
    subprocess.run(["umount", str(tmp_path)], check=True)


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """dbn-finetune with its runs in ``folder``."""
    command = [sys.executable, "-m", "finetune.train", *SMALL, f"paths.runs={folder}", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)


def assert_message(done: subprocess.CompletedProcess[str], words: str) -> None:
    """A message that says what to do, no traceback."""
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_said_and_nothing_is_lost(disk: Disk, tmp_path_factory: pytest.TempPathFactory) -> None:
    full = call(disk.folder)
    assert_message(full, "No space left on device. Make room")
    started = list(disk.folder.rglob("*.ckpt")) + list(disk.folder.rglob("layer1.safetensors"))
    assert started, "it came as far as a checkpoint"
    assert not list(disk.folder.rglob("*.part"))
    assert disk.mount("remount,size=20m")
    on = call(disk.folder)
    assert on.returncode == 0, on.stderr
    other = tmp_path_factory.mktemp("room")
    assert call(other).returncode == 0
    for name in FILES:
        assert (disk.folder / "default" / name).read_bytes() == (other / "default" / name).read_bytes(), name


def test_a_disk_that_can_only_be_read_is_said(disk: Disk) -> None:
    assert disk.mount("remount,ro")
    assert_message(call(disk.folder), "Choose a folder that can be written to: paths.runs=")
