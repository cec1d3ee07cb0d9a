"""scipy.signal as a module that is loaded when it is used: in processes of their own, since a test's has loaded it."""

import subprocess
import sys
from pathlib import Path

import pytest

BEFORE = """
import inspect, sys, warnings
from dbn.commands.deferred import defer_signal
defer_signal()
import scipy.signal
kept = scipy.signal
assert hasattr(scipy.signal, "hamming"), "torchmetrics would ask for scipy.signal.windows"
inspect.getmodule(defer_signal)
[getattr(module, "__warningregistry__", None) for module in list(sys.modules.values())]
assert "scipy.stats" not in sys.modules, "loaded before it was used"
"""
AFTER = """
assert "scipy.stats" in sys.modules
import numpy, scipy.signal
assert sys.modules["scipy.signal"] is scipy.signal is not kept
assert scipy.signal.__file__ == kept.__file__ == scipy.signal.__spec__.origin
numpy.testing.assert_allclose(scipy.signal.hamming(5), [0.08, 0.54, 1, 0.54, 0.08])
numpy.testing.assert_allclose(kept.hamming(5), scipy.signal.windows.hamming(5))
numpy.testing.assert_allclose(kept.convolve([1, 2], [1, 1]), [1, 3, 2])
assert kept.convolve is scipy.signal.convolve
"""


@pytest.mark.parametrize(
    "use",
    [
        "kept.convolve([1, 2], [1, 1])",
        "from scipy.signal import convolve",
        "from scipy.signal import *; convolve([1, 2], [1, 1])",
        "import scipy.signal.windows; scipy.signal.windows.hamming(5)",
        "kept.hamming(5)",
        "dir(kept)",
    ],
)
def test_any_use_loads_it(use: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{BEFORE}\n{use}\n{AFTER}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_what_it_has_not_is_an_attribute_error_and_where_scipy_is_loaded_nothing_happens(tmp_path: Path) -> None:
    code = f"{BEFORE}\ntry:\n    kept.nosuch\nexcept AttributeError as error:\n    print(error)\n"
    code += "loaded = sys.modules['scipy.signal']; defer_signal(); print(sys.modules['scipy.signal'] is loaded)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["module 'scipy.signal' has no attribute 'nosuch'", "True"]
