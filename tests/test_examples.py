"""The examples in docstrings run, and show what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

import dbn
import finetune

MODULES = [
    ".".join([package.__name__, *file.relative_to(root).with_suffix("").parts]).removesuffix(".__init__")
    for package in (dbn, finetune)
    for root in map(Path, package.__path__)
    for file in sorted(root.rglob("*.py"))
    if ">>>" in file.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted
    assert not found.failed


def test_there_are_examples() -> None:
    """Of what people call from a notebook."""
    assert {"dbn.models.rbm", "dbn.models.dbn", "dbn.pretraining.fit", "dbn.pretraining.greedy", "dbn.data.load"} <= {
        *MODULES
    }
