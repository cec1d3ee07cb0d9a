"""Chains of several processes: each has its own, and they survive an interruption."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import stopping
from dbn.errors import SettingError
from dbn.models.phases import Phases
from dbn.samplers import PersistentContrastiveDivergence
from helpers import make_rbm

TWO = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
SMALL = [
    "stack.layers=[12]", "stack.every_layer.epochs=2", "stack.every_layer.batch_size=100", "checkpoint_seconds=1e-9",
    "progress=false",
]  # fmt: skip


def pretrained(folder: Path, *arguments: str, stop_at: str = "") -> subprocess.CompletedProcess[str]:
    """dbn-pretrain, in processes of its own, which may crash."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CI": "true", "STOP_AT": stop_at}
    command = [sys.executable, stopping.__file__, *SMALL, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("sampler", ["pcd", "fpcd", "pt"])
def test_two_processes_have_chains_of_their_own_and_go_on_with_them(sampler: str, tmp_path: Path) -> None:
    """Interrupted in the second epoch, they end with the bits of processes left alone, which are not those of one."""
    arguments = [f"sampler={sampler}", "sampler.chains=30" if sampler == "pt" else "sampler.steps={0:1,1:2}", *TWO]
    one = pretrained(tmp_path, "study=disturbed", *arguments, stop_at="1,0")
    assert one.returncode != 0
    checkpoint = next(tmp_path.glob("runs/disturbed/pretrain/*/checkpoints/layer1/last.ckpt"))
    first, second = torch.load(checkpoint, weights_only=True)["sampler"]
    name = "v" if sampler == "pt" else "chains"
    rows = 10 * 15 if sampler == "pt" else 50  # of ten temperatures; as many as images of a minibatch
    assert (len(first[name]), len(second[name])) == (rows, rows)
    assert not torch.equal(first[name], second[name])
    refused = pretrained(tmp_path, "study=disturbed", *arguments[:2])
    assert refused.returncode == 2
    assert "chains of 2 processes; this run has 1" in refused.stderr
    for study in ("disturbed", "undisturbed"):
        done = pretrained(tmp_path, f"study={study}", *arguments)
        assert done.returncode == 0, done.stderr
    found, expected = (
        load_file(next(tmp_path.glob(f"runs/{study}/pretrain/*/dbn.safetensors")))
        for study in ("disturbed", "undisturbed")
    )
    for part, weight in expected.items():
        assert torch.equal(found[part], weight), part


def test_a_given_number_of_chains_is_divided_among_processes() -> None:
    """Each process has half of them, and each state counts as one of all; images as one of the whole minibatch."""
    phases = Phases(make_rbm(), 10, chains=30, processes=2)
    assert (len(phases.positive.v), len(phases.negative.v)) == (10, 15)
    weights = phases.weights(20, torch.float64)
    assert weights.tolist() == pytest.approx([-1 / 20] * 10 + [1 / 30] * 15)


def test_chains_that_two_processes_cannot_share_evenly_are_refused() -> None:
    sampler = PersistentContrastiveDivergence(chains=25)
    with pytest.raises(SettingError, match=r"sampler.chains=25.*sampler.chains=24"):
        sampler.divide(2)
    with pytest.raises(SettingError, match=r"sampler.chains=2,"):
        PersistentContrastiveDivergence(chains=1).divide(2)
