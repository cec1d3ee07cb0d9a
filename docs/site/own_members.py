"""Describe the methods that this package writes, not those that a framework adds to its classes."""

from typing import Any

from sphinx.application import Sphinx

PACKAGES = ("dbn", "finetune")


def setup(app: Sphinx) -> dict[str, Any]:
    """Ask before each member is described."""
    app.connect("autodoc-skip-member", is_foreign)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def is_foreign(app: Sphinx, kind: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """True for a function of another package; None where autodoc decides."""
    module = getattr(member, "__module__", None)
    if callable(member) and isinstance(module, str) and module.partition(".")[0] not in PACKAGES:
        return True
    return None
