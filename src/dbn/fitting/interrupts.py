"""Ctrl-C: a fit stops after the block it is at, with a checkpoint; everything else stops at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from dbn.fitting.checkpoints import LastCheckpoint, time_of
from dbn.fitting.preemption import PreemptedError, preemption

INTERRUPTED = 130
"""Exit status of an interrupted program: 128 + SIGINT."""

SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C stop what the block does, in the way of a preempted job, and a second one stop it at once.

    Where interrupts are ignored (``nohup``, a script's background job) they still are.

    Raises:
        PreemptedError: it did.
    """
    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, receive)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def receive(number: int, frame: FrameType | None) -> None:
    """The signal.

    Raises:
        PreemptedError: no fit is under way.
    """
    if preemption.by_person:
        cursor = SHOW_CURSOR if os.isatty(2) else ""  # a live bar may have hidden it
        _tell(f"{cursor}\nStopped at once.\n")
        os._exit(INTERRUPTED)
    preemption.requested = preemption.by_person = True
    if not preemption.fitting:
        raise PreemptedError
    _tell("\nStopping, after a checkpoint. Ctrl-C again stops at once.\n")


def _tell(text: str) -> None:
    """Write past the streams' buffers, which the signal may have found half written."""
    try:
        os.write(2, text.encode("ascii"))
    except OSError:
        return  # nobody is there to be told


def farewell(command: str) -> str:
    """What was saved, and how to go on.

    Args:
        command: the one that was interrupted, as a shell takes it.
    """
    checkpoint = LastCheckpoint.latest
    if checkpoint is not None and checkpoint.is_file():
        saved = f"The last checkpoint, {checkpoint}, is of {time_of(checkpoint)}"
    else:
        saved = "There was no training to save"
    return f"Interrupted. {saved}. What is done stays; in this folder, the rest is done by\n  {command}"
