"""Settings that are text: names, folders and files may look like numbers, ``study=2026``, and stay what was written."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

TEXTS = frozenset(
    {
        "study", "name", "base_name", "arm.name", "labels.name", "ladder.what",
        "data.name", "data.path", "data.root", "data.source.name", "data.source.path", "data.source.root",
        "continue_from", "output", "paths.runs", "init.stack", "search.chosen",
        "logger.wandb.project", "logger.wandb.entity", "path", "reference",
    }
)  # fmt: skip
"""Their dotted keys."""

LOOKS_LIKE_A_NUMBER = re.compile(r"[-+]?[0-9_.]+([eE][-+]?[0-9_]+)?|[-+]?(inf|nan)|true|false", re.IGNORECASE)


def as_texts(overrides: Sequence[str]) -> list[str]:
    """Overrides with what is to be text in quotes, where Hydra would make a number or a truth value of it.

    ``study=2026_01`` is a folder's name, which as a number would be 202601; so is each value of ``study=1,2``.
    """
    return [_quoted(override) for override in overrides]


def _quoted(override: str) -> str:
    key, equals, value = override.partition("=")
    if not equals or key.lstrip("+") not in TEXTS:
        return override
    words = [f"'{word}'" if LOOKS_LIKE_A_NUMBER.fullmatch(word.strip()) else word for word in value.split(",")]
    return f"{key}={','.join(words)}" if not set(value) & set("[]{}()'\"$") else override


def with_texts(config: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved configuration whose texts are texts where a file has numbers, as in ``study: 2026``."""
    return _with_texts(config, "")


def _with_texts(part: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        key: _with_texts(value, f"{prefix}{key}.")
        if isinstance(value, Mapping)
        else str(value)
        if f"{prefix}{key}" in TEXTS and isinstance(value, int | float)
        else value
        for key, value in part.items()
    }


def quoted(value: str) -> str:
    """A value as Hydra's override grammar reads any text."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
