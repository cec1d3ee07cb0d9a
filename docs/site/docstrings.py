"""What autodoc takes from the package: its own methods, and the docstrings of attributes as the sentences they are."""

from typing import Any

from sphinx.application import Sphinx

PACKAGES = ("dbn", "finetune")
BEFORE_NAPOLEON = 400


def setup(app: Sphinx) -> dict[str, Any]:
    """Ask before each member is described, and before its docstring is read."""
    app.connect("autodoc-skip-member", is_foreign)
    app.connect("autodoc-process-docstring", keep_sentences, priority=BEFORE_NAPOLEON)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def is_foreign(app: Sphinx, kind: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """True for a function of another package; None where autodoc decides."""
    module = getattr(member, "__module__", None)
    if callable(member) and isinstance(module, str) and module.partition(".")[0] not in PACKAGES:
        return True
    return None


def keep_sentences(app: Sphinx, kind: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Put an empty line above the docstring of an attribute: napoleon takes a first line with a colon for its type."""
    if kind in {"attribute", "data", "property"} and lines:
        lines.insert(0, "")
