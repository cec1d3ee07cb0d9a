"""A run's directory: done or not, the same configuration or not, locked while somebody is at work, its result."""

import json
import logging
import os
import platform
import subprocess
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import yaml
from filelock import FileLock, Timeout

from dbn.errors import RunConflictError, UserError
from dbn.files import UNFINISHED, write_json, write_text

log = logging.getLogger(__name__)

RESULT = "result.json"
ERROR = "error.txt"
CONFIG = Path(".hydra") / "config.yaml"
OVERRIDES = Path(".hydra") / "overrides.yaml"
INCIDENTAL = frozenset({"paths", "logger", "progress", "checkpoint_seconds"})
"""Parts of a configuration that do not change what a run computes."""


def execute(
    directory: Path,
    config: Mapping[str, Any],
    work: Callable[[Path], dict[str, Any]],
    overrides: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Do a run once: return its result if it is done, otherwise do ``work`` and write the result last of all.

    Args:
        directory: the run's own; a function of its configuration.
        config: resolved configuration, plain dicts and lists.
        work: does the run in the directory, going on from whatever an interrupted one left there; returns what goes
            into ``result.json`` beside configuration, versions, git and machine.
        overrides: what was asked for on the command line, kept in ``.hydra/overrides.yaml``.

    Returns:
        The content of ``result.json``.

    Raises:
        RunConflictError: the directory holds a run with another configuration.
    """
    with lock(directory):
        result = read_result(directory)
        _claim(directory, config)
        if overrides is not None:
            write_text(directory / OVERRIDES, yaml.safe_dump(list(overrides)))
        if result is not None:
            log.info("%s: done already.", directory)
            return result
        for unfinished in directory.rglob(f".*{UNFINISHED}"):  # of a process that was killed while writing
            unfinished.unlink()
        try:
            result = {**work(directory), "config": config, **environment()}
        except BaseException as error:
            name = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
            last = f"{name}{error}".strip().replace("\n", " ")
            write_text(directory / ERROR, f"{traceback.format_exc()}\n{last}\n")
            raise
        write_json(directory / RESULT, result)
        (directory / ERROR).unlink(missing_ok=True)
        return result


def read_result(directory: Path) -> dict[str, Any] | None:
    """The run's result, or None while it is not done.

    Raises:
        RunConflictError: there is a ``result.json`` that cannot be read.
    """
    path = directory / RESULT
    if not path.is_file():
        return None
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunConflictError(f"{path}: not readable as JSON ({error}). Move it away to do the run again.") from error
    assert isinstance(result, dict)
    return result


@contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Hold the directory's lock; wait for it if another process does. The system frees a dead process's lock."""
    directory.mkdir(parents=True, exist_ok=True)
    guard = FileLock(directory / ".lock")
    try:
        guard.acquire(timeout=0.1)
    except Timeout:
        log.info("%s: another process is at work here; waiting for it.", directory)
        guard.acquire()
    try:
        yield
    finally:
        guard.release()


def _claim(directory: Path, config: Mapping[str, Any]) -> None:
    """Write the configuration into the directory; refuse one that holds what another configuration made."""
    path = directory / CONFIG
    stored = yaml.safe_load(path.read_text(encoding="utf-8")) or {} if path.is_file() else {}
    differences = list(_differences(_relevant(stored), _relevant(json.loads(json.dumps(config)))))
    if differences and _has_work(directory):
        key, old, new = differences[0]
        more = f" ({len(differences) - 1} more keys differ)" if len(differences) > 1 else ""
        raise RunConflictError(
            f"{directory} already holds a run with {key}={old}, this one has {key}={new}{more}. "
            "Give this one a name of its own (name=...) or another study=..., or move the folder away."
        )
    write_text(path, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))


def _has_work(directory: Path) -> bool:
    """Whether there is anything in the directory that took time to make."""
    return (directory / RESULT).exists() or any(path.is_file() for path in (directory / "checkpoints").rglob("*"))


def _relevant(config: Mapping[str, Any]) -> dict[str, Any]:
    """What two configurations of the same run must agree on: where data lies on this machine is none of it."""

    def without_root(part: Any) -> Any:
        if not isinstance(part, Mapping):
            return part
        return {key: without_root(value) for key, value in part.items() if key != "root"}

    relevant = {key: value for key, value in config.items() if key not in INCIDENTAL}
    return {**relevant, "data": without_root(relevant["data"])} if "data" in relevant else relevant


def _differences(old: Any, new: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Dotted key, old and new value wherever two nested configurations differ."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in [*old, *(name for name in new if name not in old)]:
            yield from _differences(old.get(name, "(absent)"), new.get(name, "(absent)"), f"{key}.{name}".lstrip("."))
    elif old != new:
        yield key, old, new


def environment() -> dict[str, Any]:
    """What a result depends on beside its configuration: ``versions``, ``git``, ``machine``."""
    packages = ("layerwise-dbn", "torch", "pytorch-lightning", "hydra-core", "numpy", "kornia", "scikit-learn")
    versions = {"python": platform.python_version(), **{name: metadata.version(name) for name in packages}}
    return {"versions": versions, "git": _git(), "machine": _machine()}


def _git() -> dict[str, Any] | None:
    """Commit of the package's own checkout, or None for an installed package or where git is missing."""
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()

    try:
        tracked = git("ls-files", "--", Path(__file__).name)
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))} if tracked else None
    except (OSError, subprocess.SubprocessError):
        return None


def _machine() -> dict[str, Any]:
    """Processor, threads and accelerator."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "system": platform.platform(),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
    }
