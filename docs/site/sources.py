"""What Sphinx reads: the pages of docs/, the measurements beside them, and the table of contents."""

import shutil
from pathlib import Path

from reference import PAGES

DOCS = Path(__file__).resolve().parents[1]
BENCHMARKS = DOCS.parent / "benchmarks"
README = DOCS.parent / "README.md"

CONTENTS = {
    "First steps": ("At a glance <readme>", "use", "data", "files", "sklearn", "gallery/index"),
    "Models": (
        "models",
        "units",
        "training",
        "samplers",
        "likelihoods",
        "class_rbm",
        "updown",
        "dbm",
        "convolution",
        "extending",
    ),
    "Comparison": ("sweeps", "method", "numbers", "results"),
    "Machines": (
        "cluster",
        "tracking",
        "speed",
        "Speed, measured <benchmarks/RESULTS>",
        "Precision, measured <benchmarks/PRECISION>",
    ),
    "Reference": tuple(f"api/{name}" for name in PAGES),
}
"""Pages by caption. One that is in none of them is a warning of Sphinx, and so an error."""


def copy_pages(folder: Path) -> None:
    """Copy README, pages, pictures and measurements into one folder, and let their links lead to the copies.

    The start page gets the table of contents here: on GitHub it would be a block of code.

    Args:
        folder: where they go; it is made.
    """
    (folder / "benchmarks").mkdir(parents=True, exist_ok=True)
    readme = README.read_text(encoding="utf-8").replace("](docs/", "](")
    (folder / "readme.md").write_text(readme, encoding="utf-8")
    for file in DOCS.iterdir():
        if file.suffix == ".md":
            text = file.read_text(encoding="utf-8")
            text = text.replace("](../benchmarks/", "](benchmarks/").replace("](../README.md", "](readme.md")
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
    return "".join(
        f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(pages) + "\n```\n"
        for caption, pages in CONTENTS.items()
    )
