"""Which of the package's methods a framework is expected to call, and who calls them."""

import functools
import importlib
import inspect
import pkgutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from omegaconf.basecontainer import BaseContainer

PACKAGES = ("dbn", "finetune")
FRAMEWORKS = {
    "hydra", "hydra_plugins", "lightning_fabric", "omegaconf", "pytorch_lightning", "submitit", "torch", "torchmetrics",
    "wandb",
}  # fmt: skip
LOADER = ("__iter__", "__len__", "state_dict", "load_state_dict")
"""What Lightning asks of anything that it iterates over; no base class says so."""
PYTHON = {"__init__", "__new__", "__init_subclass__", "__class_getitem__", "__repr__", "__post_init__"}
"""Python calls them."""

Method = Callable[..., Any]


def classes() -> Iterator[type]:
    """Every class of the package."""
    for package in map(importlib.import_module, PACKAGES):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(found.name)
            yield from (
                value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == found.name
            )


def of_framework(cls: type) -> bool:
    """Whether a class is a framework's."""
    return cls.__module__.partition(".")[0] in FRAMEWORKS


def is_loader(cls: type) -> bool:
    """Whether a class can be iterated over as Lightning iterates over loaders."""
    return "__iter__" in vars(cls) and "__len__" in vars(cls)


def code_of(value: Any) -> Method | None:
    """The function that an attribute of a class is, or gets its value from; None for any other attribute."""
    if isinstance(value, staticmethod | classmethod):
        return value.__func__
    function = value.fget if isinstance(value, property) else value
    return function if inspect.isfunction(function) else None


def methods(cls: type) -> dict[str, Any]:
    """What a class itself defines: methods and properties, without what is abstract and what Python calls."""
    found = {name: value for name, value in vars(cls).items() if name not in PYTHON}
    return {
        name: value
        for name, value in found.items()
        if (code := code_of(value)) is not None and not getattr(code, "__isabstractmethod__", False)
    }


def expected_of_frameworks() -> dict[str, tuple[type, str]]:
    """Methods that override a framework's, or that Lightning asks of a loader: full name to class and name."""
    found = {}
    for cls in classes():
        bases = [base for base in cls.__mro__[1:] if of_framework(base)]
        for name in methods(cls):
            if any(name in vars(base) for base in bases) or (is_loader(cls) and name in LOADER):
                found[full_name(cls, name)] = cls, name
    return found


def beside_frameworks() -> dict[str, tuple[type, str]]:
    """All methods of classes that a framework drives, misspelt hooks and hooks of other versions among them.

    Mere layers and models are not among these classes: anybody may call what they have.
    """
    found = {}
    for cls in classes():
        drivers = {base.__module__.partition(".")[0] for base in cls.__mro__ if of_framework(base)}
        drivers |= {"torch"} if any(base.__module__.startswith("torch.optim") for base in cls.__mro__) else set()
        if drivers - {"torch"} or is_loader(cls):
            found |= {full_name(cls, name): (cls, name) for name in methods(cls)}
    return found


def full_name(cls: type, name: str) -> str:
    """E.g. ``dbn.fitting.trainer.Stopwatch.state_dict``."""
    return f"{cls.__module__}.{cls.__qualname__}.{name}"


class Calls:
    """Who has called which method: packages by full name.

    Args:
        methods: full name to class and name.
        patch: undoes the watching at its end.
    """

    def __init__(self, methods: dict[str, tuple[type, str]], patch: pytest.MonkeyPatch) -> None:
        self.by: dict[str, set[str]] = defaultdict(set)
        for full, (cls, name) in methods.items():
            patch.setattr(cls, name, self.watched(full, vars(cls)[name]))

    def watched(self, full: str, value: Any) -> Any:
        """An attribute of a class that takes down who calls it."""
        code = code_of(value)
        assert code is not None

        @functools.wraps(code)
        def noted(*arguments: Any, **options: Any) -> Any:
            self.by[full].add(sys._getframe(1).f_globals["__name__"].partition(".")[0])
            return code(*arguments, **options)

        if isinstance(value, property):
            return property(noted, value.fset, value.fdel)
        return type(value)(noted) if isinstance(value, staticmethod | classmethod) else noted

    def by_frameworks(self) -> set[str]:
        """Full names of what a framework has called."""
        return {full for full, packages in self.by.items() if packages & FRAMEWORKS}


def resolvers() -> set[str]:
    """Names of the package's own OmegaConf resolvers."""
    return {
        name
        for name, function in BaseContainer._resolvers.items()
        if inspect.getclosurevars(inspect.unwrap(function)).nonlocals["resolver"].__module__.startswith(PACKAGES)
    }


def watch_resolvers(patch: pytest.MonkeyPatch) -> set[str]:
    """Names of the package's resolvers that were asked for a value, as they are asked."""
    asked: set[str] = set()

    def watched(name: str, resolve: Method) -> Method:
        @functools.wraps(resolve)
        def noted(*arguments: Any, **options: Any) -> Any:
            asked.add(name)
            return resolve(*arguments, **options)

        return noted

    for name in resolvers():
        patch.setitem(BaseContainer._resolvers, name, watched(name, BaseContainer._resolvers[name]))
    return asked
