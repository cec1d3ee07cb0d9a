"""The API reference: every public name is in it, with a docstring; references in docstrings name what is there."""

import builtins
import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import dbn
import finetune
from reference import PAGES, homes, public_names, write_reference

ROOT = Path(__file__).resolve().parents[1]
LISTED = {module for page in PAGES.values() for module in page.modules}
TEXTS = [page.read_text("utf-8") for page in (ROOT / "README.md", *ROOT.glob("docs/*.md"))]


def modules() -> Iterator[ModuleType]:
    """All modules of both packages."""
    for package in (dbn, finetune):
        yield package
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(found.name)


def test_every_package_with_public_names_has_a_place() -> None:
    assert {module.__name__ for module in modules() if hasattr(module, "__all__")} <= LISTED


def test_what_the_pages_import_is_described() -> None:
    """And can be imported: from no module of our packages does a page take a name that the reference leaves out."""
    imports = re.compile(r"^from ((?:dbn|finetune)[\w.]*) import (?:\(([^)]*)\)|(.*))$", re.MULTILINE)
    for module, several, one in (found for text in TEXTS for found in imports.findall(text)):
        names = [word.split(" as ")[0].strip() for word in (several or one).split(",") if word.strip()]
        assert module in LISTED, module
        assert set(names) <= {*public_names(module)}, module


def test_every_public_object_is_described_once(tmp_path: Path) -> None:
    write_reference(tmp_path)
    files = {file.name: file.read_text("utf-8") for file in tmp_path.iterdir()}
    assert sorted(files) == sorted(f"{name}.rst" for name in PAGES)
    described = re.findall(r"^\.\. auto(?:class|function):: ([\w.]+)$", "".join(files.values()), re.MULTILINE)
    places = homes()
    public = {id(getattr(importlib.import_module(module), name)) for module in LISTED for name in public_names(module)}
    assert len(described) == len(public) == len(places)
    assert {"dbn.RBM", "dbn.models.units.Bernoulli", "dbn.sklearn.RBM", "finetune.Network"} <= {*described}
    assert "dbn.Bernoulli" not in described, "it is at home in dbn.models.units"


@pytest.mark.parametrize("module", sorted(LISTED))
def test_public_names_have_docstrings(module: str) -> None:
    """Of their own, not of a base class; so have the methods that a public class writes itself."""
    for name in public_names(module):
        value = getattr(importlib.import_module(module), name)
        assert "__doc__" in vars(value) or inspect.isfunction(value), name
        assert value.__doc__, name
        if inspect.isclass(value):
            own = {key: found for key, found in vars(value).items() if not key.startswith("_")}
            assert [key for key, found in own.items() if inspect.isfunction(found) and not found.__doc__] == [], name


ROLE = re.compile(r":(?:class|func|meth|attr|mod|data|exc|obj):`~?([\w.]+)`")


def is_there(target: str, module: ModuleType) -> bool:
    """Whether a dotted name is that of a module, or of something in a module, given whole or from ``module``."""
    if hasattr(builtins, target):
        return True
    for start in (f"{module.__package__}{target}",) if target[0] == "." else (target, f"{module.__name__}.{target}"):
        parts = start.split(".")
        for cut in range(len(parts), 0, -1):
            try:
                found: Any = importlib.import_module(".".join(parts[:cut]))
            except ModuleNotFoundError:
                continue
            if has(found, parts[cut:]):
                return True
    return any(has(value, target.split(".")) for value in vars(module).values() if inspect.isclass(value))


def has(value: Any, names: list[str]) -> bool:
    """Whether a value has the attribute that names lead to: a class those that its objects are given, too."""
    for name in names:
        if not hasattr(value, name):
            given = [text_of(base.__module__) for base in getattr(value, "__mro__", ())]
            return any(re.search(rf"^ +(self\.)?{name}: |self\.{name} = ", text, re.MULTILINE) for text in given)
        value = getattr(value, name)
    return True


@functools.cache
def text_of(module: str) -> str:
    """Source of a module of ours; nothing of any other."""
    if module.partition(".")[0] not in {"dbn", "finetune"}:
        return ""
    file = importlib.import_module(module).__file__
    assert file
    return Path(file).read_text(encoding="utf-8")


def test_references_in_docstrings_lead_somewhere() -> None:
    wrong = [
        f"{module.__name__}: {target}"
        for module in modules()
        for target in ROLE.findall(text_of(module.__name__))
        if not is_there(target, module)
    ]
    assert wrong == []
