"""What Sphinx reads: the pages of docs/, the measurements beside them, and the table of contents."""

import re
import shutil
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]
BENCHMARKS = DOCS.parent / "benchmarks"

CONTENTS = {
    "First steps": ("use", "data", "sklearn", "gallery/index"),
    "Models": ("units", "training", "samplers", "likelihoods", "class_rbm", "convolution", "extending"),
    "Comparison": ("sweeps", "method", "numbers", "results"),
    "Machines": ("cluster", "speed", "benchmarks/RESULTS", "benchmarks/PRECISION"),
    "Reference": ("api/*",),
}
"""Pages by caption. One that is in none of them is a warning of Sphinx, and so an error."""


def copy_pages(folder: Path) -> None:
    """Copy pages, pictures and measurements.

    Links to measurements, which lie in a folder beside docs/, are changed to lead to their copies, and the start page
    gets the table of contents here: on GitHub it would be a block of code.

    Args:
        folder: where they go; it is made.
    """
    (folder / "benchmarks").mkdir(parents=True, exist_ok=True)
    for file in DOCS.iterdir():
        if file.suffix == ".md":
            text = file.read_text(encoding="utf-8").replace("](../benchmarks/", "](benchmarks/")
            text += contents() if file.stem == "index" else ""
            (folder / file.name).write_text(text, encoding="utf-8")
        elif file.is_file():
            shutil.copy(file, folder)
    shutil.copytree(DOCS / "results", folder / "results", dirs_exist_ok=True)
    for file in BENCHMARKS.iterdir():
        if file.suffix in {".md", ".svg"}:
            shutil.copy(file, folder / "benchmarks")


def contents() -> str:
    """The table of contents as MyST's directives; the sidebar shows it, the page does not."""
    parts = []
    for caption, pages in CONTENTS.items():
        glob = ":glob:\n" if re.search(r"\*", "".join(pages)) else ""
        parts.append(f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n{glob}\n" + "\n".join(pages) + "\n```\n")
    return "".join(parts)
