"""The model card of a run: its data, settings and errors, with mean and interval over the seeds of its study."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from finetune.report.comparison.arm import Arm
from finetune.report.results.run_result import RunResult
from finetune.report.results.study import read_study
from finetune.runs.network_run import finetune_seeds, finetuning_directory
from helpers import Composer

SMALL = ["stack.layers=[12,8]", "stack.every_layer.epochs=2", "training.epochs=3", "task.baselines=[]"]


@pytest.fixture
def run(compose: Composer) -> Path:
    """Of the first of three seeds."""
    config = compose("finetune", [*SMALL, "n_parallel_seeds=3", "data.n_labelled=200"])
    finetune_seeds(config)
    return finetuning_directory(config)


def export(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "finetune.export.command", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def rows_of(text: str) -> dict[str, list[str]]:
    """Cells of the card's table by metric."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {cells[0]: [cell.strip(" |") for cell in cells[1:]] for cells in lines[1:]}


def test_the_card_of_a_run_of_several_seeds(run: Path) -> None:
    done = export(str(run), "format=torch_export", "output=mine.pt2", "license=CC-BY-4.0")
    assert done.returncode == 0, done.stderr
    assert "mine.pt2" in done.stdout
    assert "mine.md" in done.stdout
    text = Path("mine.md").read_text()
    result: dict[str, Any] = json.loads((run / "result.json").read_text())
    assert yaml.safe_load(text.split("---")[1])["license"] == "CC-BY-4.0"
    rows = rows_of(text)
    study = read_study(run.parents[1])
    runs: list[RunResult] = study.of_stage("finetune")
    estimate = Arm("dbn", "pretrained", tuple(runs)).estimate("test/error")
    assert estimate is not None
    assert estimate.interval is not None
    one, mean, interval = (cell.replace("\N{NO-BREAK SPACE}", " ") for cell in rows["test error"])
    assert one == f"{100 * result['metrics']['test/error']:.2f} %"
    assert mean == f"{100 * sum(own.metrics['test/error'] for own in runs) / 3:.2f} %"
    assert interval == f"{100 * estimate.interval.low:.2f} to {100 * estimate.interval.high:.2f} %"
    assert "This network is the one of seed 0 of 3 seeds (0, 1, 2) of dbn in the study default." in text
    assert "labels of 200 training images" in text
    assert "pretrained, arm dbn" in text
    settings = [yaml.safe_load(part.split("```")[0]) for part in text.split("```yaml\n")[1:]]
    assert settings[0]["data"]["name"] == "digits"
    assert settings[1]["stack"]["layers"] == [12, 8]
    assert settings[1]["training"]["epochs"] == 3
    for name, version in result["versions"].items():
        assert f"- {name}: {version}" in text


def test_a_mistake_gets_a_message(run: Path) -> None:
    done = export("format=torch_export")
    assert done.returncode == 2
    assert "run: this needs a value" in done.stderr
    done = export(str(run / "nosuch"))
    assert done.returncode == 2
    assert "there is no such network" in done.stderr
    assert "Traceback" not in done.stderr
