"""What a fit leaves behind that ended with an error, and how the one that goes on takes it up."""

import csv
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from dbn.data import block_loader
from dbn.data.blocks import Block, Minibatch
from dbn.fitting.metrics_file import MetricsFile, MetricsFiles
from dbn.pretraining.contrastive import RBMTraining
from finetune.runs.network_run import finetune_seeds
from finetune.tasks import FineTuning
from helpers import Composer

SMALL = ["arm=dbn", "stack.layers=[9]", "stack.every_layer.epochs=3", "training.epochs=3", "study=s"]
STAGES = pytest.mark.parametrize("kind", [RBMTraining, FineTuning])
TOGETHER = pytest.mark.parametrize("n", [1, 2])


class StoppedError(Exception):
    """A crash."""


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six blocks an epoch."""
    monkeypatch.setitem(block_loader.IMAGES_PER_BLOCK, "cpu", 200)


def crash(kind: type, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, *, pause: float = 0.0) -> None:
    """Run until the second block of the third epoch of a stage, every block of which takes ``pause`` longer."""
    begin = kind.begin_block  # type: ignore[attr-defined]

    def slow(self: Any, block: Block) -> Block:
        time.sleep(pause)
        if (self.current_epoch, block.number) == (2, 1):
            raise StoppedError
        found: Block = begin(self, block)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(kind, "begin_block", slow)
        with pytest.raises(StoppedError):
            finetune_seeds(config)


@STAGES
@TOGETHER
def test_seconds_before_an_interruption_count(
    n: int, kind: type, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose("finetune", [*SMALL, f"n_parallel_seeds={n}", "checkpoint_seconds=1e-9"])
    crash(kind, config, monkeypatch, pause=0.2)
    started = time.perf_counter()
    results = finetune_seeds(config)
    after = time.perf_counter() - started
    key = "seconds" if kind is FineTuning else "pretrain_seconds"
    for result in results:
        assert result[key] * n > 13 * 0.2, "two epochs and a block"
        assert result[key] * n < 13 * 0.2 + after + 20


@STAGES
@TOGETHER
def test_rows_up_to_a_crash_are_on_disk(n: int, kind: type, compose: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although no checkpoint has come, and less than a second has passed."""
    config = compose("finetune", [*SMALL, f"n_parallel_seeds={n}", "checkpoint_seconds=1000"])
    crash(kind, config, monkeypatch)
    stage = "finetune" if kind is FineTuning else "pretrain"
    found = sorted(Path("runs/s", stage).glob("*/metrics.csv"))
    assert len(found) == n
    for path in found:
        with path.open() as file:
            assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]


@STAGES
@TOGETHER
def test_rows_up_to_a_checkpoint_are_on_disk_before_it(
    n: int, kind: type, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill leaves nobody the time to write them."""
    for logger in (MetricsFile, MetricsFiles):
        monkeypatch.setattr(logger, "finalize", lambda self, status: None)
    config = compose("finetune", [*SMALL, f"n_parallel_seeds={n}", "checkpoint_seconds=1e-9"])
    crash(kind, config, monkeypatch)
    stage = "finetune" if kind is FineTuning else "pretrain"
    for path in Path("runs/s", stage).glob("*/metrics.csv"):
        with path.open() as file:
            assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]
    assert len(list(Path("runs/s", stage).glob("*/metrics.csv"))) == n


@STAGES
@TOGETHER
def test_with_no_seconds_between_a_checkpoint_comes_after_every_epoch(
    n: int, kind: type, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And none within: what goes on is the epoch that was not finished, from its first block."""
    config = compose("finetune", [*SMALL, f"n_parallel_seeds={n}", "checkpoint_seconds=0"])
    crash(kind, config, monkeypatch)
    found: list[tuple[int, int]] = []
    begin = kind.begin_block  # type: ignore[attr-defined]

    def watched(self: Any, block: Block) -> Block:
        found.append((self.current_epoch, block.number))
        same: Block = begin(self, block)
        return same

    monkeypatch.setattr(kind, "begin_block", watched)
    finetune_seeds(config)
    assert found == [(2, block) for block in range(6)]


def test_checkpoints_need_no_other_folder(compose: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's temporary folder may be on another disk, from where nothing takes its place in one step."""
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    config = compose("finetune", [*SMALL, "checkpoint_seconds=1e-9"])
    crash(FineTuning, config, monkeypatch)
    assert Path("runs/s/finetune/dbn_seed0/checkpoints/last.ckpt").is_file()
    assert len(finetune_seeds(config)) == 1


def test_momentum_is_that_of_the_epoch_in_every_step(compose: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in an epoch that goes on, and in the one that changes it."""
    found: list[tuple[int, float]] = []
    step = RBMTraining.minibatch_step

    def watched(self: RBMTraining, batch: Minibatch, optimizer: Any) -> None:
        groups = self.lightning_optimizer().optimizer.param_groups
        found.extend((self.current_epoch, group["momentum"]) for group in groups)
        step(self, batch, optimizer)

    monkeypatch.setattr(RBMTraining, "minibatch_step", watched)
    settings = ["stack.every_layer.initial_momentum_epochs=2", "stack.every_layer.momentum=0.8"]
    config = compose("finetune", [*SMALL, *settings, "pretrain_only=true", "checkpoint_seconds=1e-9"])
    crash(RBMTraining, config, monkeypatch)
    finetune_seeds(config)
    assert set(found) == {(0, 0.5), (1, 0.5), (2, 0.8)}
    assert found[-1] == (2, 0.8)


def test_lightning_leaves_blocks_alone(compose: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(*_: Any) -> None:
        pytest.fail("a block is moved, which is where it belongs")

    monkeypatch.setattr(Block, "to", moved, raising=False)
    (result,) = finetune_seeds(compose("finetune", [*SMALL, "arm=random_relu"]))
    assert torch.tensor(result["metrics"]["validation/nll"]).isfinite()
