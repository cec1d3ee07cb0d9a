"""A deep Boltzmann machine trained by two processes: chains of their own, weights in common, and an interruption."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

import stopping

TWO = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
SMALL = [
    "method=dbm", "stack.layers=[12,8]", "stack.every_layer.epochs=1", "stack.every_layer.batch_size=100",
    "method.epochs=3", "checkpoint_seconds=1e-9", "progress=false",
]  # fmt: skip


def pretrained(folder: Path, *arguments: str, stop_at: str = "") -> subprocess.CompletedProcess[str]:
    """dbn-pretrain, in processes of its own, which may crash."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CI": "true", "STOP_AT": stop_at}
    command = [sys.executable, stopping.__file__, *SMALL, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


def test_two_processes_train_one_machine_with_chains_of_their_own_and_go_on_with_them(tmp_path: Path) -> None:
    """Stopped in the second epoch of the training as one, they end with the bits of processes left alone."""
    assert pretrained(tmp_path, "study=disturbed", *TWO, stop_at="1,0").returncode != 0
    checkpoint = next(tmp_path.glob("runs/disturbed/pretrain/*/checkpoints/layer3/last.ckpt"))
    first, second = torch.load(checkpoint, weights_only=True)["chains"]
    for part, size in (("layer0", 64), ("layer2", 8)):
        assert first[part].shape == second[part].shape == (50, size), "half of each minibatch"
        assert not torch.equal(first[part], second[part])
    for study in ("disturbed", "undisturbed"):
        done = pretrained(tmp_path, f"study={study}", *TWO)
        assert done.returncode == 0, done.stderr
    found, expected = (
        load_file(next(tmp_path.glob(f"runs/{study}/pretrain/*/dbn.safetensors")))
        for study in ("disturbed", "undisturbed")
    )
    for part, weight in expected.items():
        assert torch.equal(found[part], weight), part
