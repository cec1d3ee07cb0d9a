"""Pages of docs/: links and anchors lead somewhere, all commands compose, the start page knows every page."""

import re
import shlex
from pathlib import Path

import hydra
import pytest
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig

from dbn.commands.command import is_override
from dbn.commands.configuration import config_directory
from dbn.commands.shorthand import expand
from sources import CONTENTS

ROOT = Path(__file__).resolve().parents[1]
FILES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("benchmarks/*.md"))]
PAGES = {str(file.relative_to(ROOT)): file.read_text("utf-8") for file in FILES}
PROGRAMS = "pretrain|finetune|describe|predict|features|sample|evaluate|export|report|status"
LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")


def without_blocks(text: str) -> str:
    """A page without what stands in fences."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """Anchors of the headings of a page, as GitHub makes them."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} (.+)$", without_blocks(text), flags=re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()).replace(" ", "-")
        found[words] = found.get(words, -1) + 1
    return {f"{words}-{k}" if k else words for words, count in found.items() for k in range(count + 1)}


def test_anchors_are_those_of_github() -> None:
    page = "# A, b: `c=d`?\n## What it is\n```\n# no heading\n```\n## What it is\n### See [use](use.md)\n"
    assert anchors(page) == {"a-b-cd", "what-it-is", "what-it-is-1", "see-use"}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page: str) -> None:
    for link in LINK.findall(without_blocks(PAGES[page])):
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent.joinpath(name).resolve() if name else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text("utf-8")), link


def test_the_start_page_and_the_contents_know_every_page() -> None:
    pages = {file.stem for file in ROOT.glob("docs/*.md")} - {"index"}
    assert pages == {Path(link).stem for link in LINK.findall(PAGES["docs/index.md"])} - {"README"}
    assert pages <= {name for names in CONTENTS.values() for name in names}


def commands_of(text: str) -> list[str]:
    """Commands of a page: lines of blocks, with what is continued, and spans of code within sentences."""
    blocks = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL))
    indented = "\n".join(re.findall(r"^    (.*)$", without_blocks(text), flags=re.MULTILINE))
    lines = f"{blocks}\n{indented}".replace("\\\n", " ").splitlines()
    spans = [span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", without_blocks(text))]
    found = [re.sub(r"\s+#.*|\$\(.*\)", "", line).strip() for line in (*lines, *spans)]
    return [line for line in found if re.match(rf"(\w+=\S* )*dbn-({PROGRAMS}) ", line)]


SAID = sorted({command for text in PAGES.values() for command in commands_of(text)})
ANOTHER_PACKAGE = ("hydra/sweeper=optuna", "hydra.sweeper.max_failure_rate")
"""A sweeper that is not a dependency, and its setting."""
OWN_FILE = "--config-dir"
"""With a file that the page shows; ``test_docs_choices.py`` runs this command."""


KNOWN_BY = {
    **dict.fromkeys(("dbn-pretrain", "dbn-finetune", "dbn-describe"), "study"),
    **dict.fromkeys(("dbn-predict", "dbn-features", "dbn-sample", "dbn-evaluate"), "output"),
}
"""What commands with settings alone cannot do without; others are given it as their first word."""


@pytest.mark.parametrize("command", SAID)
def test_commands_compose(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with the file that the page on clusters shows; and has what it needs."""
    site = tmp_path / "conf" / "cluster" / "ours.yaml"
    site.parent.mkdir(parents=True)
    (text,) = re.findall(r"```yaml\n(# Our cluster.*?)```", PAGES["docs/cluster.md"], flags=re.DOTALL)
    site.write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    words = [word for word in shlex.split(command) if not word.startswith(ANOTHER_PACKAGE)]
    while not words[0].startswith("dbn-"):
        words.pop(0)  # a variable of the environment
    if OWN_FILE in words:
        return
    config = compose(words)
    assert words[0] not in KNOWN_BY or config[KNOWN_BY[words[0]]]


def test_a_command_with_a_misspelt_setting_does_not() -> None:
    with pytest.raises(ConfigCompositionException):
        compose(["dbn-sample", "stack=dbn.safetensors", "step=5"])


def compose(words: list[str]) -> DictConfig:
    """A command's composed configuration; sweeps take one value a run."""
    name = words[0].removeprefix("dbn-")
    overrides = [word for word in expand(name, words[1:]) if is_override(word)]
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        return hydra.compose(name, [word for word in overrides if not re.search(r"=[^\[{']*,", word)])


def test_there_are_commands_in_sentences_and_in_blocks() -> None:
    assert {"dbn-describe sizes=[3,2,2,3]", "dbn-report runs/rates reference=random_relu"} <= {*SAID}
    assert len(SAID) > 130


PATHS = re.compile(r"`((?:src|tests|benchmarks|slurm|conf|docs)/[\w./]*)")

MADE = {"docs/_site/", "docs/_site/index.html", "conf/experiment/patches.yaml"}
"""Files that ``make docs``, or a reader of the page, makes."""


@pytest.mark.parametrize("page", PAGES)
def test_files_and_targets_of_make_that_a_page_names_are_there(page: str) -> None:
    text = PAGES[page]
    paths = {*PATHS.findall(text), *re.findall(r"python (benchmarks/\w+\.py)", text)} - MADE
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    lines = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    named = re.findall(r"`make\s+([\w-]+)", text) + re.findall(r"^make ([\w-]+)", lines, re.MULTILINE)
    assert {*named} <= {*targets}
