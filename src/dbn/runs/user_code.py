"""The user's own modules that a configuration names, and what they import of the user's."""

import ast
import importlib.util
import re
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from dbn.runs.code import PACKAGES, files_of

KEPT = (".py", ".so", ".yaml", ".yml", ".json")
"""Files of a package of the user's that are code; data stay where they are."""
_TARGET = re.compile(r"_target_['\"]?\s*[:=]\s*['\"]?([A-Za-z_][\w.]*)")
_OWN = {package.partition("/")[0] for package in PACKAGES}


def targets_in(text: str) -> set[str]:
    """Dotted names that a text, a configuration or an override, gives as ``_target_``."""
    return set(_TARGET.findall(text))


def user_files(targets: Iterable[str]) -> dict[str, Path]:
    """Files of the modules that define the targets, by their names below a folder of Python's path.

    Imports are followed, within functions too; modules of Python, of installed packages and of this package are left
    out. A name that cannot be found is left to the run, which says so.
    """
    found: dict[str, Path] = {}
    seen: set[str] = set()
    waiting = [target.partition(".")[0] for target in targets]
    while waiting:
        name = waiting.pop()
        if name in seen or name in sys.stdlib_module_names or name in _OWN:
            continue
        seen.add(name)
        for relative, file in _files_of_module(name).items():
            found[relative] = file
            if file.suffix == ".py":
                waiting += _imports(file)
    return found


def _files_of_module(name: str) -> dict[str, Path]:
    """Files of a module or package outside of what is installed."""
    try:
        spec = importlib.util.find_spec(name)  # of a name without a dot: imports nothing
    except (ImportError, ValueError):
        return {}
    if spec is None:
        return {}
    if spec.submodule_search_locations is not None:
        folders = [Path(location) for location in spec.submodule_search_locations if not _is_installed(location)]
        return {
            f"{name}/{relative}": file
            for folder in folders
            for relative, file in files_of(folder).items()
            if file.suffix in KEPT
        }
    if spec.origin is None or not Path(spec.origin).is_file() or _is_installed(spec.origin):
        return {}
    return {Path(spec.origin).name: Path(spec.origin)}


def _is_installed(place: str) -> bool:
    """Whether a file lies among installed packages or in Python's library."""
    path = Path(place).resolve()
    folders = {Path(sysconfig.get_path(key)).resolve() for key in ("purelib", "platlib", "stdlib", "platstdlib")}
    return any(path.is_relative_to(folder) for folder in folders) or "site-packages" in path.parts


def _imports(file: Path) -> set[str]:
    """Names of the modules, up to the first dot, that a file imports absolutely."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names
