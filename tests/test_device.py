"""A fit that goes on from a checkpoint has everything on the device where it trains."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy

from dbn.data import block_loader
from dbn.data.blocks import Block
from dbn.pretraining.contrastive import RBMTraining
from dbn.samplers import PersistentContrastiveDivergence
from finetune.runs.network_run import finetune_seeds
from finetune.tasks import FineTuning
from helpers import Composer

SMALL = [
    "arm=dbn", "sampler=pcd", "stack.layers=[9]", "stack.every_layer.epochs=3", "training.epochs=3",
    "checkpoint_seconds=1e-9",
]  # fmt: skip


class StoppedError(Exception):
    """A crash."""


def finetune_interrupted(config: dict[str, Any], kind: type, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The results of a run that crashed at the fourth block of the second epoch of a stage."""
    monkeypatch.setitem(block_loader.IMAGES_PER_BLOCK, "cpu", 200)
    monkeypatch.setitem(block_loader.IMAGES_PER_BLOCK, "cuda", 200)
    begin = kind.begin_block  # type: ignore[attr-defined]

    def crash(self: Any, block: Block) -> Block:
        if (self.current_epoch, block.number) == (1, 3):
            raise StoppedError
        found: Block = begin(self, block)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(kind, "begin_block", crash)
        with pytest.raises(StoppedError):
            finetune_seeds(config)
    return finetune_seeds(config)


def test_chains_go_on_after_the_model_has_moved(compose: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning reads a checkpoint while the module is on the CPU."""
    happened: list[str] = []
    moved, loaded = SingleDeviceStrategy.model_to_device, PersistentContrastiveDivergence.load_state_dict

    def move(self: SingleDeviceStrategy) -> None:
        happened.append("moved")
        moved(self)

    def load(self: PersistentContrastiveDivergence, state: dict[str, torch.Tensor], device: torch.device) -> None:
        happened.append("chains")
        loaded(self, state, device)

    monkeypatch.setattr(SingleDeviceStrategy, "model_to_device", move)
    monkeypatch.setattr(PersistentContrastiveDivergence, "load_state_dict", load)
    finetune_interrupted(compose("finetune", SMALL), RBMTraining, monkeypatch)
    assert happened == ["moved", "moved", "chains", "moved"]
    happened.clear()
    finetune_seeds(compose("finetune", [*SMALL, "study=alone"]))
    assert happened == ["moved", "moved"]
    stacks = [path.read_bytes() for path in Path("runs").glob("*/pretrain/*/dbn.safetensors")]
    assert len(stacks) == 2
    assert stacks[0] == stacks[1], "the chains are those of a fit left alone"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("stage", ["pretraining", "fine-tuning"])
@pytest.mark.parametrize("n", [1, 2])
def test_on_a_gpu(n: int, stage: str, compose: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose("finetune", [*SMALL, "trainer=gpu", f"n_parallel_seeds={n}", "training.trajectory=20"])
    kind = RBMTraining if stage == "pretraining" else FineTuning
    results = finetune_interrupted(config, kind, monkeypatch)
    assert len(results) == n
    assert all(math.isfinite(result["metrics"]["validation/nll"]) for result in results)
