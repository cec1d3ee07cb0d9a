"""scipy.signal as a module that is loaded when something of it is first used.

Lightning imports torchmetrics, and torchmetrics imports scipy.signal, and with it scipy's statistics, interpolation and
optimisation, for one line: an old name, ``scipy.signal.hamming``, that a package for speech might ask for. That takes a
sixth of all imports of a short run, and nothing here uses it.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

NAME = "scipy.signal"


class DeferredSignal(ModuleType):
    """Stands in for scipy.signal until it is used; whoever kept it gets what the module has from then on, too."""

    __slots__ = ()

    @staticmethod
    def hamming(*arguments: Any, **options: Any) -> Any:
        """The old name of :func:`scipy.signal.windows.hamming`, which torchmetrics adds where it is missing."""
        return loaded().windows.hamming(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__path__", "__all__"):  # who walks through all modules uses none
            raise AttributeError(f"module {NAME!r} has no attribute {name!r}")
        return getattr(loaded(), name)

    def __dir__(self) -> list[str]:
        return dir(loaded())


def loaded() -> ModuleType:
    """scipy.signal itself, with the old name that torchmetrics gives it."""
    if isinstance(sys.modules.get(NAME), DeferredSignal):
        del sys.modules[NAME]
    module = import_module(NAME)
    if not hasattr(module, "hamming"):
        module.hamming = module.windows.hamming  # type: ignore[attr-defined]
    return module


def defer_signal() -> None:
    """Let ``import scipy.signal`` load it later; nothing happens where it is loaded already, or not installed."""
    if NAME in sys.modules or find_spec("scipy") is None:
        return
    spec = find_spec(NAME)
    if spec is None:
        return
    module = DeferredSignal(NAME)
    module.__spec__, module.__file__, module.__package__ = spec, spec.origin, NAME
    sys.modules[NAME] = module
