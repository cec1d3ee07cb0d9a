"""Imports of what trains, which a command does only when it is going to train."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dbn.commands.deferred import defer_signal


@contextmanager
def importing() -> Iterator[None]:
    """Within it, import torch and Lightning without scipy.signal and without the garbage collector, then or later.

    They make 400,000 objects that stay to the end. The collector would go through them several times while they are
    being made, at every full collection of a fit, and when the process ends: together a third of the time of a short
    run. A process that has torch already, such as a notebook's or a test's, keeps its collector as it is: not
    everything that it holds is there to stay.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    defer_signal()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
