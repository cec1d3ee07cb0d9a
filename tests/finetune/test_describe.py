"""The command dbn-describe in a process of its own: what it prints, and that it leaves nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

LAYERS = "stack.layers=[{kind:convolution,maps:4,kernel:3,padding:1,pool:2},8]"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sizes=[3,2,2,3]"], ["16 weights", "7 biases"]),
        (
            ["arm=conv_dbn", LAYERS],  # 9 weights of 4 filters, 64 units of the layer above, 10 classes
            [f"{4 * 9 + 64 * 8 + 8 * 10} weights, {4 + 8 + 10} biases", "8x8x1", "4x4x4", "probabilistic"],
        ),
    ],
)
def test_it_prints_the_network(arguments: list[str], words: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "finetune.describe", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    for word in words:
        assert word in done.stdout
    assert not list(tmp_path.iterdir())
