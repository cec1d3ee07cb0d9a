"""The live bar of a fit, as a person at a terminal gets to see it."""

import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from rich.progress import Progress

from dbn.data.block_loader import IMAGES_PER_BLOCK
from dbn.fitting.progress import FitProgress
from dbn.pretraining.contrastive import RBMTraining
from finetune.runs.network_run import finetune_seeds
from helpers import Composer

SMALL = ["arm=dbn", "stack.layers=[9]", "stack.every_layer.epochs=4", "training.epochs=4", "study=s", "progress=true"]
Shown = dict[str, list[tuple[float, str]]]
"""By title, how far a bar has come and the metric beside it, at each change."""


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """What live bars show."""
    found: Shown = defaultdict(list)
    update = Progress.update

    def watched(self: Progress, task: Any, **fields: Any) -> None:
        update(self, task, **fields)
        bar = self.tasks[task]
        found[bar.description].append((bar.completed, bar.fields["watch"]))

    monkeypatch.setattr(Progress, "update", watched)
    monkeypatch.setattr(FitProgress, "live", property(lambda self: True))
    monkeypatch.setitem(IMAGES_PER_BLOCK, "cpu", 300)
    return found


def column(path: Path, name: str) -> list[float]:
    """A metric by epoch."""
    with path.open() as file:
        return [float(row[name]) for row in csv.DictReader(file)]


def check(found: list[tuple[float, str]], words: list[str], blocks: int = 4) -> None:
    """The bar moves on with every block, and has beside it the metric of the last epoch that is over."""
    assert [completed for completed, _ in found if completed % 1] == [
        epoch + block / blocks for epoch in range(4) for block in range(1, blocks)
    ]
    for completed, watch in found:
        over = int(completed)
        expected = {words[over - 1] if over else ""}
        if completed == over and completed:  # the last block of an epoch, or its end
            expected.add(words[over - 2] if over > 1 else "")
        assert watch in expected, completed
    assert found[-1] == (4, words[3])


def test_the_metric_beside_the_bar_is_that_of_the_last_epoch(compose: Composer, shown: Shown) -> None:
    """Also where the module logs it at the end of the epoch, after most callbacks have been called."""
    finetune_seeds(compose("finetune", SMALL))
    (pretrained,) = Path("runs/s/pretrain").glob("*/metrics.csv")
    errors = column(pretrained, "layer1/reconstruction_error")
    check(shown["layer 1/1  64-9"], [f"reconstruction error {error:.4g}" for error in errors])
    wrong = column(Path("runs/s/finetune/dbn_seed0/metrics.csv"), "validation/error")
    found = shown["dbn seed 0  64-9-10"]
    assert found[-1] == (4, f"validation error {100 * wrong[-1]:.2f} %")


def test_a_crash_leaves_the_terminal_in_order(compose: Composer, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    bars: list[Progress] = []
    start = Progress.start

    def watched(self: Progress) -> None:
        bars.append(self)
        start(self)

    def crash(self: RBMTraining) -> None:
        assert bars[0].live.is_started
        raise ZeroDivisionError

    monkeypatch.setattr(Progress, "start", watched)
    monkeypatch.setattr(RBMTraining, "on_train_epoch_end", crash)
    with pytest.raises(ZeroDivisionError):
        finetune_seeds(compose("finetune", SMALL))
    assert len(bars) == 1
    assert not bars[0].live.is_started
