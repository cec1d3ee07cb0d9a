"""What Weights & Biases keeps of a run on disk: a part for each process that worked on it, sent or still to be sent.

A part is ``wandb/[offline-]run-<time>-<id>/run-<id>.wandb``: every point is in it, whether the service takes it or
not. ``wandb beta sync`` sends parts, those of one run in the order of their start, and puts a mark beside each. A part
that was sent while the run was online gets the same mark here. So what has no mark, or is younger than it, is still to
be sent.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

MARK = ".synced"
"""Suffix of the mark of ``wandb beta sync``."""
LOG = "logs/debug-internal.log"
GAVE_UP = "filestream: fatal error"
"""What is in a part's log once the service has refused points for good; nothing else says so."""
CUT_OFF = "ends with an incomplete record"
"""What ``wandb beta sync`` says of a part whose process was killed, having sent all that comes before."""
HEADER = 7
"""Bytes of a part before its first record; the client writes 32 kB at once, and ``kill -9`` leaves what was written."""
CLOSING = 5.0
"""Seconds that the client may take to write the end of a part after it has said that all is sent."""


def parts_of(directory: Path) -> list[Path]:
    """The parts of a run's directory that hold anything, in the order of their start."""
    found = [part for part in directory.glob("wandb/*run-*/run-*.wandb") if part.stat().st_size > HEADER]
    return sorted(found, key=lambda part: part.parent.name.removeprefix("offline-"))


def is_sent(part: Path) -> bool:
    """Whether the whole part was sent."""
    mark = part.with_name(part.name + MARK)
    return mark.is_file() and mark.stat().st_mtime_ns >= part.stat().st_mtime_ns


def mark_sent(part: Path) -> None:
    """Mark a part as sent, unless the service refused points of it."""
    log = part.parent / LOG
    if not (log.is_file() and GAVE_UP in log.read_text(encoding="utf-8", errors="replace")):
        _mark(part)


def _mark(part: Path) -> None:
    mark = part.with_name(part.name + MARK)
    mark.touch()
    later = time.time() + CLOSING
    os.utime(mark, (later, later))


def drop_unopened(directory: Path) -> None:
    """Delete what is left of an online run that could not be opened: it holds no points."""
    for part in directory.glob("wandb/run-*/run-*.wandb"):
        if not is_sent(part):
            shutil.rmtree(part.parent)


def send(parts: Sequence[Path], seconds: float) -> bool:
    """Send parts as ``wandb beta sync`` does, one after another; whether each was sent within ``seconds``.

    No process may be at work on them: one that ends in the middle of a record, after ``kill -9``, is sent as far as it
    goes.
    """
    for part in parts:
        part.with_name(part.name + MARK).unlink(missing_ok=True)  # younger than its mark: it would be taken for sent
        command = [sys.executable, "-m", "wandb", "beta", "sync", "--no-skip-online", str(part)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        if CUT_OFF in done.stderr:
            _mark(part)
        if not is_sent(part):
            return False
    return True
