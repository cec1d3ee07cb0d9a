"""Ctrl-C: what was saved, how to go on, and the same bits in the end."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import Callback

from dbn import RBM
from dbn.fitting.checkpoints import LastCheckpoint
from dbn.fitting.interrupts import interruptible, interruption_message, receive
from dbn.fitting.preemption import PreemptedError, preemption
from dbn.models.units import make_units
from dbn.pretraining import fit
from finetune.runs.network_run import finetune_seeds
from helpers import Composer


@pytest.fixture(autouse=True)
def _interrupts_are_not_ignored() -> Iterator[None]:
    """As they are in what a script starts in the background: these tests, too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


MODULES = {"dbn-finetune": "finetune.train", "dbn-pretrain": "dbn.pretrain"}
LONG = ["stack.layers=[30]", "checkpoint_seconds=1000", "progress=false"]


@pytest.fixture(autouse=True)
def _nobody_has_interrupted() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)
    preemption.requested = preemption.from_keyboard = False


def start(folder: Path, command: str, *arguments: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", MODULES[command], *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CI": "true"}
    return subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for(found: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    for _ in range(1200):
        if found() or process.poll() is not None:
            return
        time.sleep(0.1)


def bits(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.name in ("metrics.csv", "network.safetensors", "dbn.safetensors")
    }


def test_interrupted_in_a_multirun_it_says_how_to_go_on_and_ends_with_the_same_bits(tmp_path: Path) -> None:
    """The second of two jobs is interrupted, in fine-tuning; the third is not started."""
    arguments = ["-m", "arm=random_relu", "seed=0,1,2", "training.epochs=150", "training.validate_every=50", *LONG]
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    for folder in (undisturbed, disturbed):
        folder.mkdir()
    process = start(disturbed, "dbn-finetune", *arguments)
    wait_for(lambda: list(disturbed.rglob("random_relu_seed1/metrics.csv")), process)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "Interrupted." in said
    assert "seed1/checkpoints/last.ckpt, is of" in said
    assert not list(disturbed.rglob("random_relu_seed2")), "the multirun has stopped"
    assert not list(disturbed.rglob("error.txt"))
    command = said.strip().splitlines()[-1].strip()
    assert shlex.split(command) == ["dbn-finetune", *arguments]
    for folder in (disturbed, undisturbed):
        assert start(folder, "dbn-finetune", *shlex.split(command)[1:]).wait(timeout=300) == 0
    assert len(bits(undisturbed)) == 6
    assert bits(undisturbed) == bits(disturbed)


def test_interrupted_in_pretraining(tmp_path: Path) -> None:
    arguments = ["stack.every_layer.epochs=100000", *LONG]
    process = start(tmp_path, "dbn-pretrain", *arguments)
    wait_for(lambda: list(tmp_path.rglob("metrics.csv")), process)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 130, said
    assert "layer1/last.ckpt, is of" in said
    assert list(tmp_path.rglob("last.ckpt"))
    assert "Traceback" not in said


SMALL = [
    "arm=dbn_dropout", "stack.layers=[20,12]", "stack.every_layer.epochs=2", "training.epochs=2",
    "checkpoint_seconds=1000",
]  # fmt: skip


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_at_any_block_of_any_stage_it_ends_with_the_same_bits(
    n_seeds: int, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal itself, at every seventh block; the handler of the command."""
    monkeypatch.setattr("dbn.data.block_loader.IMAGES_PER_BLOCK", {"cpu": 200})
    small = [*SMALL, f"n_parallel_seeds={n_seeds}"]
    undisturbed, config = compose("finetune", [*small, "study=a"]), compose("finetune", [*small, "study=b"])
    finetune_seeds(undisturbed)
    on_train_batch_end, blocks = LastCheckpoint.on_train_batch_end, {"n": 0}

    def interrupting(self: LastCheckpoint, *arguments: Any) -> None:
        blocks["n"] += 1
        if blocks["n"] % 7 == 0:
            os.kill(os.getpid(), signal.SIGINT)
        on_train_batch_end(self, *arguments)

    monkeypatch.setattr(LastCheckpoint, "on_train_batch_end", interrupting)
    stops = 0
    while True:
        try:
            with interruptible():
                finetune_seeds(config)
            break
        except PreemptedError:
            stops += 1
            assert "last.ckpt" in interruption_message("dbn-finetune")
            preemption.requested = preemption.from_keyboard = False
    assert stops == blocks["n"] // 7 >= 5
    assert len(bits(Path("runs/a"))) == 4 * n_seeds
    assert bits(Path("runs/a")) == bits(Path("runs/b"))


def test_outside_of_a_fit_it_stops_at_once() -> None:
    reached = []

    def work() -> None:
        with interruptible():
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("the end")

    with pytest.raises(PreemptedError):
        work()
    assert not reached


def test_the_second_one_leaves_at_once(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    monkeypatch.setattr(preemption, "fitting", True)
    receive(signal.SIGINT, None)
    assert not left
    receive(signal.SIGINT, None)
    assert left == [130]
    assert "Ctrl-C again stops at once" in capfd.readouterr().err


def test_ignored_interrupts_stay_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruptible():
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


class Interrupting(Callback):
    def on_train_batch_end(self, *_: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def test_in_a_notebook_it_is_a_keyboard_interrupt_and_the_next_one_works() -> None:
    rbm = RBM(make_units("bernoulli", 6), make_units("bernoulli", 4))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fit(rbm, torch.rand(20, 6), epochs=100, callbacks=[Interrupting()])
