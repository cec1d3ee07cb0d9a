"""Told to stop at any moment, a run goes on later and ends with the same bits."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dbn.data import Images
from dbn.data.block_loader import BlockLoader
from dbn.fitting.checkpoints import LastCheckpoint
from dbn.fitting.preemption import PreemptedError, Preemption, job_id, preemption, requeueing
from dbn.pretraining.stack_run import pretraining_config, pretraining_directory
from finetune.runs.network_run import finetune_seeds, finetuning_directory
from helpers import Composer

SMALL = [
    "arm=dbn_dropout", "stack.layers=[20,12]", "stack.every_layer.epochs=3", "training.epochs=4",
    "training.head_epochs=2", "stack.every_layer.initial_momentum_epochs=1", "augment.rotation=10",
    "checkpoint_seconds=1000",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Several blocks an epoch; nobody has been told to stop."""
    monkeypatch.setattr("dbn.data.block_loader.IMAGES_PER_BLOCK", {"cpu": 200})
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    preemption.requested = False


def files_of(config: dict[str, Any]) -> dict[str, bytes]:
    """What must be the same bits."""
    shared = pretraining_directory(pretraining_config(config))
    paths = [shared / "dbn.safetensors", shared / "metrics.csv"]
    paths += [finetuning_directory(config) / name for name in ("network.safetensors", "metrics.csv")]
    return {path.name + path.parent.name: path.read_bytes() for path in paths}


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_stopped_within_epochs_it_ends_with_the_same_bits(
    n_seeds: int, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after every thirteenth block, whichever layer, epoch or stage that is in: the last of an epoch, too."""
    small = [*SMALL, f"n_parallel_seeds={n_seeds}"]
    undisturbed = compose("finetune", [*small, "study=undisturbed"])
    expected = finetune_seeds(undisturbed)
    config = compose("finetune", [*small, "study=disturbed"])
    on_train_batch_end, blocks = LastCheckpoint.on_train_batch_end, {"n": 0}

    def stopping(self: LastCheckpoint, *arguments: Any) -> None:
        blocks["n"] += 1
        preemption.requested = preemption.requested or blocks["n"] % 13 == 0
        on_train_batch_end(self, *arguments)

    monkeypatch.setattr(LastCheckpoint, "on_train_batch_end", stopping)
    stops = 0
    while True:
        try:
            results = finetune_seeds(config)
            break
        except PreemptedError:
            stops += 1
            preemption.requested = False
            assert not list(Path("runs/disturbed").rglob("error.txt"))
    # Layers of 3 epochs x 6 blocks, a network of 4 epochs x 6 blocks: none is taken twice.
    assert blocks["n"] == 2 * 3 * 6 + 4 * 6
    assert stops == blocks["n"] // 13
    for result, other in zip(results, expected, strict=True):
        assert result["metrics"] == other["metrics"]
        assert files_of(result["config"]) == files_of(other["config"])


def test_checkpoints_come_by_the_clock_within_an_epoch(compose: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after the fourth block of an epoch, with a checkpoint due at every block, three blocks are not lost."""
    config = compose("finetune", [*SMALL, "arm=random_relu", "checkpoint_seconds=1e-9"])
    on_train_batch_end, seen = LastCheckpoint.on_train_batch_end, []

    def killed(self: LastCheckpoint, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        seen.append((trainer.current_epoch, batch.number))
        if len(seen) == 10:
            raise RuntimeError("killed")
        on_train_batch_end(self, trainer, module, outputs, batch, index)

    monkeypatch.setattr(LastCheckpoint, "on_train_batch_end", killed)
    with pytest.raises(RuntimeError, match="killed"):
        finetune_seeds(config)
    finetune_seeds(config)
    assert seen[9:11] == [(1, 3), (1, 3)]
    assert sorted(set(seen)) == [(epoch, block) for epoch in range(4) for block in range(6)]


def test_a_loader_goes_on_where_it_was(digits_data: Any) -> None:
    def loader() -> BlockLoader:
        return BlockLoader(images, batch_size=10, minibatches_per_block=3, seed=1)

    images: Images = digits_data.train
    first = loader()
    blocks = iter(first)
    for _ in range(5):
        next(blocks)
    second = loader()
    second.load_state_dict(first.state_dict())
    assert [block.number for block in second] == list(range(5, len(first)))
    assert [block.number for block in second] == list(range(len(first))), "the next epoch is a whole one"
    list(blocks)
    third = loader()
    third.load_state_dict(first.state_dict())  # of a whole epoch
    assert len(list(third)) == len(first)


def test_outside_of_a_fit_it_stops_at_once() -> None:
    own = Preemption()
    with pytest.raises(PreemptedError):
        own.receive(signal.SIGUSR1, None)
    reached = []

    def fit(own: Preemption) -> None:
        with own.during_fit():
            own.receive(signal.SIGUSR1, None)
            reached.append(own.requested)

    with pytest.raises(PreemptedError):
        fit(Preemption())
    assert reached == [True]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Within job 12 of a SLURM that does what it is asked: the commands it has been given."""
    asked: list[list[str]] = []

    def scontrol(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", scontrol)
    monkeypatch.setattr("dbn.fitting.preemption.SECONDS_TO_BE_STOPPED", 0.0)
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    return asked


def test_a_job_goes_back_into_the_queue(asked: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    for variables, job in (({}, "12"), ({"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}, "7_3")):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert job_id() == job
        with pytest.raises(SystemExit), requeueing():
            os.kill(os.getpid(), signal.SIGUSR1)
        assert asked[-1] == ["scontrol", "requeue", job]
        preemption.requested = False
    monkeypatch.setenv("SLURM_PROCID", "1")
    with pytest.raises(SystemExit), requeueing():
        os.kill(os.getpid(), signal.SIGUSR1)
    assert len(asked) == 2, "the first process asks, once"


def test_a_signal_that_has_waited_sends_the_job_back_as_well(asked: list[list[str]]) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})  # as the batch files start the command
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)  # other threads of the tests do not let it wait
    with pytest.raises(SystemExit), requeueing():
        pytest.fail("it went on")
    assert asked == [["scontrol", "requeue", "12"]]


def test_a_signal_between_two_runs_stops_the_second_one(asked: list[list[str]]) -> None:
    """As in a multirun whose runs go one after another within one job."""
    for _ in range(2):
        with requeueing():
            pass
        assert not asked
    os.kill(os.getpid(), signal.SIGUSR1)
    with pytest.raises(SystemExit), requeueing():
        pytest.fail("it went on")
    assert asked == [["scontrol", "requeue", "12"]]


def test_a_refusal_says_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def scontrol(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "Job is not requeueable")

    monkeypatch.setattr(subprocess, "run", scontrol)
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    with pytest.raises(SystemExit) as left, requeueing():
        raise PreemptedError
    assert left.value.code == 1
    assert "--requeue" in capsys.readouterr().err


def test_outside_of_slurm_the_signal_is_nobody_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    before = signal.getsignal(signal.SIGUSR1)
    with requeueing():
        assert signal.getsignal(signal.SIGUSR1) == before
