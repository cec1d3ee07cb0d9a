"""Public names of a package that are imported when they are first used (PEP 562).

``import dbn`` then costs nothing, and a command that never touches a tensor never imports torch.
"""

import sys
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import Any


def lazy_attributes(
    package: str, homes: Mapping[str, str], subpackages: Collection[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: its dotted name, ``__name__``.
        homes: module that defines each public name.
        subpackages: subpackages that are attributes without having been imported by name.
    """

    def attribute(name: str) -> Any:
        if name in subpackages:
            return import_module(f"{package}.{name}")
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)  # found without this function from now on
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes, *subpackages})

    return attribute, names
