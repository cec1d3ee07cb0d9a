"""Settings that are text, such as names and paths, even if they look like numbers (``study=2026``)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

TEXTS = frozenset(
    {
        "study", "name", "base_name", "arm.name", "labels.name", "ladder.what",
        "data.name", "data.path", "data.root", "data.source.name", "data.source.path", "data.source.root",
        "continue_from", "output", "paths.runs", "init.stack", "search.chosen", "run", "ensemble", "stack.file",
        "license", "figure", "logger.wandb.project", "logger.wandb.entity", "path", "reference",
    }
)  # fmt: skip
"""Dotted keys of settings that are text."""

PATHS = frozenset({"run", "ensemble", "stack.file"})
"""Text settings that are one path, whose signs belong to it: a run may be called ``dbn_training.epochs=5_seed0``."""

LOOKS_LIKE_A_NUMBER = re.compile(r"[-+]?[0-9_.]+([eE][-+]?[0-9_]+)?|[-+]?(inf|nan)|true|false", re.IGNORECASE)


def quote_texts(overrides: Sequence[str]) -> list[str]:
    """Overrides in which values of text settings that Hydra would parse as numbers or booleans are quoted.

    Otherwise ``study=2026_01`` would become 202601. Each value of a sweep, ``study=1,2``, is quoted.
    """
    return [_quoted(override) for override in overrides]


def _quoted(override: str) -> str:
    key, equals, value = override.partition("=")
    if not equals or key.lstrip("+") not in TEXTS:
        return override
    if key in PATHS and value and value != "null" and value[0] not in "'\"" and "${" not in value:
        return f"{key}={quoted(value)}"
    words = [f"'{word}'" if LOOKS_LIKE_A_NUMBER.fullmatch(word.strip()) else word for word in value.split(",")]
    return f"{key}={','.join(words)}" if not set(value) & set("[]{}()'\"$") else override


def with_texts(config: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved configuration in which numbers of text settings, as from ``study: 2026``, are converted to text."""
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
    """Text quoted for Hydra's override grammar."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
