"""Ctrl-C: a fit stops with a checkpoint after the current block; everything else stops immediately."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from dbn.files import time_of
from dbn.fitting.preemption import PreemptedError, preemption

INTERRUPTED = 130
"""Exit status of an interrupted program: 128 + SIGINT."""

SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it, Ctrl-C stops the work like a preemption, and a second Ctrl-C stops the process immediately.

    Ignored interrupts (``nohup``, a background job of a script) stay ignored.

    Raises:
        PreemptedError: Ctrl-C was pressed.
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
    """Signal handler of SIGINT.

    Raises:
        PreemptedError: no fit is under way.
    """
    if preemption.from_keyboard:
        cursor = SHOW_CURSOR if os.isatty(2) else ""  # a progress bar may have hidden it
        _tell(f"{cursor}\nStopped at once.\n")
        os._exit(INTERRUPTED)
    preemption.requested = preemption.from_keyboard = True
    if not preemption.fitting:
        raise PreemptedError
    _tell("\nStopping, after a checkpoint. Ctrl-C again stops at once.\n")


def _tell(text: str) -> None:
    """Write to standard error without Python's buffers, which the signal may have interrupted."""
    try:
        os.write(2, text.encode("ascii"))
    except OSError:
        return  # standard error is closed


def interruption_message(command: str) -> str:
    """Message about the last checkpoint, and the command to continue.

    Args:
        command: the interrupted command, quoted for a shell.
    """
    checkpoint = preemption.checkpoint
    if checkpoint is not None and checkpoint.is_file():
        saved = f"The last checkpoint, {checkpoint}, is of {time_of(checkpoint)}"
    else:
        saved = "There was no training to save"
    return f"Interrupted. {saved}. What is done stays; in this folder, the rest is done by\n  {command}"
