"""What README and docs/ say is true: their Python runs, their commands compose, their links lead somewhere."""

import re
import shlex
from pathlib import Path

import hydra
import pytest

from dbn.commands.command import is_override
from dbn.commands.configuration import config_directory
from dbn.commands.shorthand import expand
from finetune.runs.network_run import finetune
from helpers import Composer

ROOT = Path(__file__).resolve().parents[1]
PAGES = {str(page.relative_to(ROOT)): page.read_text("utf-8") for page in [ROOT / "README.md", *ROOT.glob("docs/*.md")]}
PROGRAMS = "pretrain|finetune|predict|features|sample|evaluate"
COMMANDS = sorted({
    command
    for text in PAGES.values()
    for command in re.findall(rf"^(?:\| )?`?(dbn-(?:{PROGRAMS}) [^`#\n]+)", text, flags=re.MULTILINE)
})  # fmt: skip


@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if "```python" in text])
def test_their_python_runs(page: str, compose: Composer) -> None:
    if "runs/default/finetune/dbn_seed0" in PAGES[page]:
        finetune(compose("finetune", ["stack.layers=[10]", "stack.every_layer.epochs=1", "training.epochs=1"]))
    for block in re.findall(r"```python\n(.*?)```", PAGES[page], flags=re.DOTALL):
        exec(block, {})


@pytest.mark.parametrize("command", COMMANDS)
def test_their_commands_compose(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with the file that the page on clusters shows."""
    monkeypatch.chdir(tmp_path)
    site = tmp_path / "conf" / "cluster" / "ours.yaml"
    site.parent.mkdir(parents=True)
    (site_file,) = re.findall(r"```yaml\n(# Our cluster.*?)```", PAGES["docs/cluster.md"], flags=re.DOTALL)
    site.write_text(site_file, encoding="utf-8")
    program, *words = shlex.split(command)
    name = program.removeprefix("dbn-")
    overrides = [word for word in expand(name, words) if is_override(word)]
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        single = [word for word in overrides if "," not in word]  # what sweeps takes one value a run
        config = hydra.compose(name, single)
    assert config.study if name in ("pretrain", "finetune") else config.output


def test_there_are_commands_to_compose() -> None:
    assert len(COMMANDS) > 8


@pytest.mark.parametrize("page", list(PAGES))
def test_their_links_lead_to_files(page: str) -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", PAGES[page]):
        assert (ROOT / page).parent.joinpath(link).exists(), link


def test_the_first_screen_of_readme() -> None:
    """Claim, commands, picture, a first RBM, one's own data, and only then tables."""
    text = PAGES["README.md"]
    order = ["**Does greedy", "make compare", "![", "```python", "## Your own data", "## Results"]
    assert [text.index(words) for words in order] == sorted(text.index(words) for words in order)
    assert text.index("```python") < 2500
