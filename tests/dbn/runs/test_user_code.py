"""Which modules of the user's belong to the code: those that configurations name, and what they import."""

import sys
from pathlib import Path

import pytest

from dbn.runs.user_code import targets_in, user_files


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on Python's path with modules that must not be imported to be found."""
    files = {
        "hot_one.py": "import cold_one\nraise SystemExit('imported')\n",
        "cold_one.py": "def f():\n    from kit_one.inner import deep\n",
        "kit_one/__init__.py": "",
        "kit_one/inner.py": "import numpy, os, dbn\nfrom . import sibling\n",
        "kit_one/sibling.py": "",
        "kit_one/defaults.yaml": "a: 1\n",
        "kit_one/images.bin": "data",
        "unused_one.py": "",
        "broken_one.py": "def (\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_modules_are_found_with_all_that_they_import(mine: Path) -> None:
    found = user_files({"hot_one.Hot", "torch.nn.Linear", "dbn.models.units.Bernoulli", "absent_one.X"})
    kept = ["cold_one.py", "hot_one.py", "kit_one/__init__.py", "kit_one/defaults.yaml", "kit_one/inner.py"]
    assert sorted(found) == [*kept, "kit_one/sibling.py"]
    assert all(file == mine / name for name, file in found.items())
    assert "hot_one" not in sys.modules


def test_a_module_with_an_error_is_kept_as_it_is(mine: Path) -> None:
    assert list(user_files({"broken_one.X"})) == ["broken_one.py"]


@pytest.mark.parametrize(
    "text",
    [
        "sampler:\n  _target_: hot.Hot\n", "stack.every_layer.hidden={_target_:hot.Hot,value:1.5}",
        "sampler._target_=hot.Hot", "'_target_': 'hot.Hot'", '"_target_": "hot.Hot"',
    ],
)  # fmt: skip
def test_targets_in_configurations_and_overrides(text: str) -> None:
    assert targets_in(text) == {"hot.Hot"}
