"""Public names that are imported on first use behave as if they had been imported."""

import importlib
import subprocess
import sys

import pytest

PACKAGES = ("dbn", "dbn.data", "finetune.report")


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_there(name: str) -> None:
    package = importlib.import_module(name)
    found: dict[str, object] = {}
    exec(f"from {name} import *", found)
    for public in package.__all__:
        assert found[public] is getattr(package, public)
        assert found[public].__name__ == public
        assert found[public].__module__.startswith(f"{name}.")


@pytest.mark.parametrize("name", PACKAGES)
def test_they_are_completed_before_they_were_used(name: str) -> None:
    """As by a notebook's tab key."""
    package = importlib.import_module(name)
    listed = subprocess.run(
        [sys.executable, "-c", f"import {name} as package; print(*dir(package))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert set(package.__all__) <= set(listed.stdout.split())


def test_a_subpackage_is_an_attribute_without_being_imported_by_name() -> None:
    code = "import dbn; print(dbn.data.digits.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["digits"]


@pytest.mark.parametrize("name", PACKAGES)
def test_a_misspelt_name_is_refused_as_usual(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nosuch'"):
        _ = importlib.import_module(name).nosuch
    with pytest.raises(ImportError, match="cannot import name 'nosuch'"):
        exec(f"from {name} import nosuch")
