"""Directories of studies and runs: where they are, and the lock of the process that works in one."""

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import DictConfig

from dbn.runs.naming import folder_name
from dbn.settings import check_group, check_text

log = logging.getLogger(__name__)

LOCK = ".lock"


def check_run_location(config: Mapping[str, Any] | DictConfig) -> None:
    """Check the settings that determine where runs are written.

    Raises:
        SettingError: an invalid value.
    """
    check_group("paths", config["paths"])
    check_text("paths.runs", _as_text(config["paths"].get("runs")), what="a folder")
    check_text("study", _as_text(config["study"]))


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) else value


def study_directory(config: Mapping[str, Any]) -> Path:
    """Directory of a study: ``<runs>/<study>``."""
    return Path(config["paths"]["runs"], folder_name(config["study"]))


@contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Hold the directory's lock, waiting for other processes; the system releases the lock of a dead process."""
    directory.mkdir(parents=True, exist_ok=True)
    guard = FileLock(directory / LOCK)
    try:
        guard.acquire(timeout=0.1)
    except Timeout:
        log.info("%s: another process is at work here; waiting for it.", directory)
        guard.acquire()
    try:
        yield
    finally:
        guard.release()


def is_locked(directory: Path) -> bool:
    """Whether a process holds the directory's lock; writes nothing, so that read-only studies can be inspected."""
    try:
        handle = os.open(directory / LOCK, os.O_RDONLY)
    except OSError:  # no lock file, or not readable
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # released when the file is closed
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(handle)
    return False
