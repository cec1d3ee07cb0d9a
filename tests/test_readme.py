"""What README says is true: its Python runs, its commands compose."""

import re
import shlex
from pathlib import Path

import hydra
import pytest

from dbn.commands.command import config_directory, is_override

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"^(?:\| )?`?(dbn-(?:pretrain|finetune) [^`#\n]+)", README, flags=re.MULTILINE)))


def test_its_python_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(block, {})


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_compose(command: str) -> None:
    program, *words = shlex.split(command)
    overrides = [word for word in words if is_override(word)]
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        single = [word for word in overrides if "," not in word]  # what sweeps takes one value a run
        config = hydra.compose(program.removeprefix("dbn-"), single)
    assert config.study


def test_there_are_commands_to_compose() -> None:
    assert len(COMMANDS) > 8


def test_its_files_are_there() -> None:
    root = Path(__file__).resolve().parents[1]
    links = re.findall(r"\]\((?!http)([^)]+)\)", README)
    assert links
    for link in links:
        assert (root / link).exists(), link
