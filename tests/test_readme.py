"""Python in README and docs/ runs, and README begins with what a newcomer needs; see also ``test_docs_pages.py``."""

import re
from pathlib import Path

import pytest

from finetune.runs.network_run import finetune
from helpers import Composer

ROOT = Path(__file__).resolve().parents[1]
PAGES = {str(page.relative_to(ROOT)): page.read_text("utf-8") for page in [ROOT / "README.md", *ROOT.glob("docs/*.md")]}


@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if "```python" in text])
def test_their_python_runs(page: str, compose: Composer) -> None:
    if "runs/default/finetune/dbn_seed0" in PAGES[page]:
        finetune(compose("finetune", ["stack.layers=[10]", "stack.every_layer.epochs=1", "training.epochs=1"]))
    for block in re.findall(r"```python\n(.*?)```", PAGES[page], flags=re.DOTALL):
        exec(block, {})


def test_the_first_screen_of_readme() -> None:
    """Claim, commands, picture, a first RBM, one's own data, and only then tables."""
    text = PAGES["README.md"]
    order = ["**Does greedy", "make compare", "![", "```python", "## Your own data", "## Results"]
    assert [text.index(words) for words in order] == sorted(text.index(words) for words in order)
    assert text.index("```python") < 2500
