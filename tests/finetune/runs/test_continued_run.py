"""A run that is done is trained further, in a run of its own."""

import hashlib
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from dbn.errors import RunConflictError, SettingError
from finetune.runs.network_run import finetune, finetune_seeds
from finetune.tasks import FineTuning
from helpers import Composer

SMALL = [
    "arm=dbn_dropout", "stack.layers=[12,8]", "stack.every_layer.epochs=2", "data.n_labelled=300",
    "training.batch_size=50", "augment.rotation=10",
]  # fmt: skip
CONSTANT = [*SMALL, "schedule=constant", "training.learning_rate=0.05"]
DONE = Path("runs/default/finetune/dbn_dropout_augment_seed0")


def files(directory: Path) -> dict[str, str]:
    """Hashes of all that is in a run's directory."""
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("weights", ["best", "last"])
def test_more_epochs_at_a_constant_rate_are_the_bits_of_as_many_at_once(weights: str, compose: Composer) -> None:
    settings = [*CONSTANT, f"training.weights={weights}"]
    finetune(compose("finetune", [*settings, "training.epochs=4"]))
    before = files(DONE)
    on = finetune(compose("finetune", [*settings, "training.epochs=9", f"continue_from={DONE}", "name=on"]))
    at_once = finetune(compose("finetune", [*settings, "training.epochs=9", "name=at_once"]))
    assert files(DONE) == before
    assert on["metrics"] == at_once["metrics"]
    assert (on["epochs"], on["best_epoch"]) == (9, at_once["best_epoch"])
    found, expected = (files(DONE.with_name(f"{name}_seed0")) for name in ("on", "at_once"))
    for name in ("network.safetensors", "metrics.csv", "predictions.safetensors"):
        assert found[name] == expected[name]


def test_the_message_says_which_command_does_it(compose: Composer) -> None:
    finetune(compose("finetune", [*CONSTANT, "training.epochs=2"]))
    longer = [*CONSTANT, "training.epochs=5"]
    with pytest.raises(RunConflictError) as refused:
        finetune(compose("finetune", longer))
    advice = re.search(r"add: (.*?)\. To train anew", str(refused.value))
    assert advice is not None
    result = finetune(compose("finetune", [*longer, *shlex.split(advice.group(1))]))
    assert result["epochs"] == 5
    assert result["name"] == "dbn_dropout_augment_5_epochs"


def test_a_schedule_with_an_end_begins_anew(compose: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One cycle over the added epochs, from its first rate to its last; a crash on the way changes nothing."""
    rates: dict[int, list[float]] = {}
    step = FineTuning.minibatch_step

    def watched(self: FineTuning, batch: Any, optimizer: Any) -> None:
        plain = self.lightning_optimizer().optimizer
        rates.setdefault(self.current_epoch, []).append(plain.param_groups[0]["lr"])
        if crash and self.current_epoch == 4:
            raise RuntimeError
        step(self, batch, optimizer)

    monkeypatch.setattr(FineTuning, "minibatch_step", watched)
    crash = False
    finetune(compose("finetune", [*SMALL, "training.epochs=3"]))
    first = [rate for epoch in sorted(rates) for rate in rates[epoch]]
    rates.clear()
    settings = [*SMALL, "training.epochs=6", f"continue_from={DONE}", "checkpoint_seconds=0"]
    finetune(compose("finetune", [*settings, "name=on"]))
    assert sorted(rates) == [3, 4, 5]
    assert [rate for epoch in sorted(rates) for rate in rates[epoch]] == pytest.approx(first)
    crash = True
    with pytest.raises(RuntimeError):
        finetune(compose("finetune", [*settings, "name=crashed"]))
    crash = False
    finetune(compose("finetune", [*settings, "name=crashed"]))
    on, crashed = (files(DONE.with_name(f"{name}_seed0")) for name in ("on", "crashed"))
    assert on["network.safetensors"] == crashed["network.safetensors"]


def test_a_run_that_stopped_early_goes_on_with_more_patience(compose: Composer) -> None:
    settings = [*CONSTANT, "training.epochs=30"]
    stopped = finetune(compose("finetune", [*settings, "training.patience=1"]))
    assert stopped["epochs"] < 30
    on = finetune(compose("finetune", [*settings, "training.patience=null", f"continue_from={DONE}", "name=on"]))
    assert on["epochs"] == 30
    more = finetune(compose("finetune", [*settings, "training.patience=20", f"continue_from={DONE}", "name=more"]))
    assert more["epochs"] > stopped["epochs"]


def test_what_cannot_go_on_is_refused(compose: Composer) -> None:
    settings = [*CONSTANT, "training.epochs=2"]
    further = [*CONSTANT, "training.epochs=4", f"continue_from={DONE}", "name=on"]
    finetune(compose("finetune", settings))

    def refused(words: str, *overrides: str) -> None:
        with pytest.raises(SettingError, match=words):
            finetune_seeds(compose("finetune", [*further, *overrides]))

    refused(r"continue_from=runs/nothing: there is no run", "continue_from=runs/nothing")
    refused(r"has training\.learning_rate=0\.05, this one training\.learning_rate=0\.1", "training.learning_rate=0.1")
    refused(r"training\.epochs=2: .* was trained for 2 epochs already", "training.epochs=2")
    refused("n_parallel_seeds=2", "n_parallel_seeds=2")
    (DONE / "checkpoints/last.ckpt").rename("last.ckpt")
    refused("n_parallel_seeds=1")
    Path("last.ckpt").rename(DONE / "checkpoints/last.ckpt")
    (DONE / "result.json").rename("result.json")
    refused("this run is not done")
    assert not DONE.with_name("on_seed0").exists()


def test_a_study_that_is_moved_in_the_middle_remembers_what_was_best(
    compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained so fast that the best epoch is an early one, before the move."""
    settings = [*CONSTANT, "training.learning_rate=0.4", "training.epochs=12", "checkpoint_seconds=0"]
    alone = finetune(compose("finetune", [*settings, "study=alone"]))
    assert alone["best_epoch"] < 10
    step = FineTuning.minibatch_step

    def crash(self: FineTuning, batch: Any, optimizer: Any) -> None:
        if self.current_epoch == 10:
            raise RuntimeError
        step(self, batch, optimizer)

    with monkeypatch.context() as patched:
        patched.setattr(FineTuning, "minibatch_step", crash)
        with pytest.raises(RuntimeError):
            finetune(compose("finetune", [*settings, "study=moved"]))
    Path("elsewhere").mkdir()
    shutil.move("runs/moved", "elsewhere/moved")
    moved = finetune(compose("finetune", [*settings, "study=moved", "paths.runs=elsewhere"]))
    assert moved["best_epoch"] == alone["best_epoch"]
    assert moved["metrics"] == alone["metrics"]
    kept = torch.load("elsewhere/moved/finetune/dbn_dropout_augment_seed0/checkpoints/best.ckpt", weights_only=True)
    assert kept["epoch"] == alone["best_epoch"]
