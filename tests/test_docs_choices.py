"""Pages name every choice of their subject, and the example of a type of one's own runs as the page says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dbn.models.units
from dbn.models.units import Units

ROOT = Path(__file__).resolve().parents[1]


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text("utf-8")


def kinds() -> set[str]:
    """Kinds of the package's own units."""
    return {kind for kind, own in Units.registry.items() if own.__module__.startswith(dbn.models.units.__name__)}


def test_every_unit_type_is_on_its_page() -> None:
    table = re.findall(r"^\| (`[^|]+) \|", page("units"), re.MULTILINE)
    named = {word for row in table for word in re.findall(r"`(?:\{kind: )?(\w+)", row)}
    assert kinds() == named - {"kind"}


@pytest.mark.parametrize(("group", "name"), [("sampler", "samplers"), ("method", "extending"), ("data", "data")])
def test_every_choice_of_a_group_is_on_its_page(group: str, name: str) -> None:
    choices = {file.stem for file in (ROOT / "conf" / group).glob("*.yaml")} - {"base", "rbm"}
    text = page(name)
    assert [choice for choice in sorted(choices) if not re.search(rf"[`=]{choice}`|\b{group}={choice}\b", text)] == []


def test_every_sweep_is_in_the_table_of_readme() -> None:
    """But for those that the page on sweeps explains alone."""
    text = (ROOT / "README.md").read_text("utf-8") + page("sweeps")
    sweeps = {file.stem for file in (ROOT / "conf" / "sweep").glob("*.yaml")}
    assert [sweep for sweep in sorted(sweeps) if f"`{sweep}`" not in text and f"sweep={sweep}" not in text] == []


def test_the_connection_of_the_page_is_trained_and_its_runs_leave_the_files_that_are_said(tmp_path: Path) -> None:
    """Its module, its configuration, and its command, with an epoch of each stage."""
    text = page("extending")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (settings,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (command,) = re.findall(r"`PYTHONPATH=\. dbn-finetune ([^`]+)`", text)
    (tmp_path / "patches.py").write_text(code, encoding="utf-8")
    experiment = tmp_path / "conf" / "experiment" / "patches.yaml"
    experiment.parent.mkdir(parents=True)
    experiment.write_text(settings, encoding="utf-8")
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([".", os.environ.get("PYTHONPATH", "")])}
    short = ["stack.every_layer.epochs=1", "training.epochs=1", "progress=false"]
    words = [sys.executable, "-m", "finetune.train", *command.split(), *short]
    done = subprocess.run(words, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (stack,) = tmp_path.glob("runs/*/pretrain/*/dbn.safetensors")
    assert b'"patches"' in stack.read_bytes().replace(b"\\", b"")
    (network,) = tmp_path.glob("runs/*/finetune/dbn_seed0/network.safetensors")
    rows = re.findall(r"^\| (`[^|]+) \|", page("files"), re.MULTILINE)
    files = {name.partition("/")[0] for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert {file.name for run in (stack.parent, network.parent) for file in run.iterdir()} <= files
