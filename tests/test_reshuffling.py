"""Every epoch of a fit brings the images in another order, as its steps see them, also after an interruption."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dbn import RBM
from dbn.data import block_loader
from dbn.data.blocks import Block
from dbn.fitting.block_module import BlockModule
from dbn.models.units import Bernoulli
from dbn.pretraining import fit
from dbn.pretraining.contrastive import RBMTraining
from dbn.random.streams import stream
from finetune.runs.network_run import finetune_seeds
from finetune.tasks import FineTuning
from helpers import Composer

N_IMAGES, BATCH, EPOCHS = 500, 20, 4
N_TRAIN = 400
SMALL = [
    "stack.layers=[8,6]", f"stack.every_layer.epochs={EPOCHS}", f"stack.every_layer.batch_size={BATCH}",
    f"training.epochs={EPOCHS}", f"training.batch_size={BATCH}", "training.weights=last", "arm=dbn",
    "network.dropout_hidden=0.2",
]  # fmt: skip

Fit = tuple[str, int]
"""Pretraining of a layer, or fine-tuning (layer 0)."""
Seen = dict[Fit, dict[int, list[torch.Tensor]]]
"""Features of every minibatch that was trained on, by fit and epoch."""


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What the steps of all fits of the test get to see."""
    found: Seen = defaultdict(lambda: defaultdict(list))
    for kind, module in (("pretraining", RBMTraining), ("fine-tuning", FineTuning)):

        def watched(
            self: BlockModule, batch: Any, optimizer: Any, *, kind: str = kind, step: Any = module.minibatch_step
        ) -> None:
            found[kind, getattr(self, "number", 0)][self.current_epoch].append(batch.features.clone())
            step(self, batch, optimizer)

        monkeypatch.setattr(module, "minibatch_step", watched)
    return found


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five blocks of four minibatches an epoch."""
    monkeypatch.setitem(block_loader.IMAGES_PER_BLOCK, "cpu", 4 * BATCH)


@pytest.fixture
def memory(tmp_path: Path) -> list[str]:
    """Images in memory, every one of them different."""
    path = tmp_path / "images.npz"
    np.savez(path, images=images(), labels=np.arange(N_IMAGES) % 5)
    return ["data=npz", f"data.path={path}", "data.test=50", "data.validation=50"]


@pytest.fixture
def streamed(tmp_path: Path) -> list[str]:
    """The same images in a file, read in windows of 64."""
    folder = tmp_path / "streamed"
    folder.mkdir()
    np.save(folder / "images.npy", images())
    np.save(folder / "labels.npy", np.arange(N_IMAGES) % 5)
    window = 64 * 16 * 4 / 2**20
    return ["data=memmap", f"data.path={folder}", "data.test=50", "data.validation=50", f"data.window={window}"]


def images() -> np.ndarray:
    """``(500, 4, 4)`` float32 in [0, 1)."""
    return np.random.default_rng(0).random((N_IMAGES, 4, 4), dtype=np.float32)


def orders(by_epoch: dict[int, list[torch.Tensor]]) -> Iterator[list[bytes]]:
    """For each epoch the images in the order in which steps saw them."""
    for _, batches in sorted(by_epoch.items()):
        yield [image.numpy().tobytes() for image in torch.cat(batches, -2).reshape(-1, batches[0].shape[-1])]


def check_orders(found: Seen, *, members: int = 1) -> None:
    """Each epoch every image once, in minibatches that no other epoch has."""
    assert set(found) == {("pretraining", 1), ("pretraining", 2), ("fine-tuning", 0)}
    for key, by_epoch in found.items():
        assert sorted(by_epoch) == list(range(EPOCHS)), key
        every = list(orders(by_epoch))
        assert all(len(order) == members * N_TRAIN for order in every)
        assert all(Counter(order) == Counter(every[0]) for order in every), key
        minibatches = [
            frozenset(image.numpy().tobytes() for image in member)
            for batches in by_epoch.values()
            for batch in batches
            for member in batch.reshape(members, -1, batch.shape[-1])
        ]
        assert len(set(minibatches)) == len(minibatches) == EPOCHS * members * N_TRAIN // BATCH, key


@pytest.mark.parametrize("source", ["memory", "streamed"])
def test_every_epoch_has_other_minibatches(
    source: str, seen: Seen, compose: Composer, request: pytest.FixtureRequest
) -> None:
    finetune_seeds(compose("finetune", [*SMALL, *request.getfixturevalue(source)]))
    check_orders(seen)


def test_every_epoch_has_other_minibatches_for_seeds_that_train_together(
    seen: Seen, compose: Composer, memory: list[str]
) -> None:
    finetune_seeds(compose("finetune", [*SMALL, *memory, "n_parallel_seeds=2"]))
    check_orders(seen, members=2)


def test_the_order_is_that_of_the_stream(seen: Seen) -> None:
    """A fit in a notebook; layer and epoch are the counters."""
    data = torch.rand(50, 6)
    fit(RBM(Bernoulli(6), Bernoulli(3)), data, epochs=3, batch_size=7, seed=5)
    for epoch, batches in seen["pretraining", 1].items():
        expected = data[torch.randperm(50, generator=stream(5, "order", 1, epoch))]
        assert torch.equal(torch.cat(batches), expected)


@pytest.mark.usefixtures("small_blocks")
def test_blocks_to_overfit_are_the_same_in_every_epoch(seen: Seen, compose: Composer, memory: list[str]) -> None:
    """Two blocks of four minibatches, of five: Lightning promises that they are not reshuffled."""
    finetune_seeds(compose("finetune", [*SMALL, *memory, "+trainer.overfit_batches=2"]))
    for key, by_epoch in seen.items():
        first, *others = (torch.cat(batches) for _, batches in sorted(by_epoch.items()))
        assert len(first) == 2 * 4 * BATCH, key
        assert len(others) == EPOCHS - 1
        assert all(torch.equal(first, other) for other in others), key


class CrashError(Exception):
    """A crash."""


@pytest.mark.parametrize("where", [("pretraining", 1, 1, 3), ("pretraining", 2, 3, 1), ("fine-tuning", 0, 2, 4)])
@pytest.mark.parametrize("more", [["memory"], ["streamed"], ["memory", "n_parallel_seeds=2"]], ids="-".join)
@pytest.mark.usefixtures("small_blocks")
def test_an_epoch_that_is_resumed_midway_goes_on_in_its_order(
    where: tuple[str, int, int, int],
    more: list[str],
    seen: Seen,
    compose: Composer,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the steps see, and the bits that come out, are those of a fit left alone."""
    settings = [*SMALL, *request.getfixturevalue(more[0]), *more[1:], "checkpoint_seconds=1e-9"]
    finetune_seeds(compose("finetune", [*settings, "study=alone"]))
    alone = {key: dict(by_epoch) for key, by_epoch in seen.items()}
    seen.clear()

    kind, layer, epoch, block = where
    module = RBMTraining if kind == "pretraining" else FineTuning
    begin = module.begin_block

    def crash(self: Any, given: Block) -> Block:
        if (getattr(self, "number", 0), self.current_epoch, given.number) == (layer, epoch, block):
            raise CrashError
        return begin(self, given)

    with monkeypatch.context() as patched:
        patched.setattr(module, "begin_block", crash)
        with pytest.raises(CrashError):
            finetune_seeds(compose("finetune", [*settings, "study=stopped"]))
    finetune_seeds(compose("finetune", [*settings, "study=stopped"]))

    for key, by_epoch in alone.items():
        for number, batches in by_epoch.items():
            again = seen[key][number]
            assert len(again) == len(batches)  # nothing was done twice, nothing left out
            assert all(torch.equal(a, b) for a, b in zip(again, batches, strict=True)), (key, number)
    assert files("stopped") == files("alone")


def files(study: str) -> dict[str, str]:
    """Hash of stacks, networks and curves of a study, by name of run and file."""
    names = ("dbn.safetensors", "network.safetensors", "metrics.csv")
    return {
        f"{path.parent.parent.name}/{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path("runs", study).rglob("*")
        if path.name in names
    }


def test_two_processes_killed_within_epochs_end_with_the_same_bits(tmp_path: Path, memory: list[str]) -> None:
    settings = [*SMALL, *memory, "checkpoint_seconds=1e-9", "trainer=ddp", "trainer.accelerator=cpu"]
    settings += ["trainer.devices=2", "stack.every_layer.epochs=12", "training.epochs=12"]
    start(*settings, "study=alone").communicate(timeout=300)
    moments = [
        "pretrain/*/checkpoints/layer1/last.ckpt",
        "pretrain/*/checkpoints/layer2/last.ckpt",
        "finetune/*/checkpoints/last.ckpt",
    ]
    for moment in moments:
        process = start(*settings, "study=killed")
        deadline = time.monotonic() + 120
        while not list(Path("runs/killed").glob(moment)):
            assert process.poll() is None, "the run ended before the moment to kill it came"
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    output, _ = start(*settings, "study=killed").communicate(timeout=300)
    assert files("killed") == files("alone"), output.decode()
    assert len(files("alone")) == 4


def start(*settings: str) -> "subprocess.Popen[bytes]":
    """The command with small blocks, its processes in a group of their own."""
    code = (
        "from dbn.data import block_loader; from finetune.train import main; "
        f"block_loader.IMAGES_PER_BLOCK['cpu'] = {4 * BATCH}; main()"
    )
    script = Path("small_blocks.py")
    script.write_text(code)  # a file, since every process is started with it
    return subprocess.Popen(
        [sys.executable, str(script), *settings],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CI": "true", "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
