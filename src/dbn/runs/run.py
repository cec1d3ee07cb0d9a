"""Execution of runs: lock the directory, check its configuration, do what is not done, write the result."""

import json
import logging
import os
import platform
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import yaml
from hydra.errors import InstantiationException

from dbn.errors import DivergenceError, RunConflictError, UserError
from dbn.files import UNFINISHED, write_json, write_text
from dbn.fitting.preemption import PreemptedError
from dbn.fitting.processes import announce_runs, wait_for_all, wait_for_announcement
from dbn.fitting.ranks import is_first
from dbn.machine.processor import processor_name
from dbn.machine.products import onednn_is_faster
from dbn.machine.subnormals import subnormals_flushed
from dbn.runs.code import running_code
from dbn.runs.directories import lock
from dbn.runs.finite_results import check_finite
from dbn.runs.identity import run_identity
from dbn.runs.origin import begin, origin_of
from dbn.runs.overrides import OVERRIDES
from dbn.runs.study_data import check_same_data, record_data

log = logging.getLogger(__name__)

RESULT = "result.json"
ERROR = "error.txt"
CONFIG = Path(".hydra") / "config.yaml"
ABSENT = "(absent)"
Difference = tuple[str, Any, Any]
"""Dotted key, old and new value."""
RENAME_ADVICE = "Give this one a name of its own (name=...) or another study (study=...), or move the folder away."


@dataclass(frozen=True)
class Run:
    """A run to execute.

    Attributes:
        directory: of the run; a function of its configuration.
        config: resolved configuration, plain dicts and lists.
        identity: part of a configuration that must be equal in the same directory, see :mod:`dbn.runs.identity`.
        advice: advice for the error message, from dotted key, old and new value of each difference.
    """

    directory: Path
    config: dict[str, Any]
    identity: Callable[[Mapping[str, Any]], dict[str, Any]] = run_identity
    advice: Callable[[Sequence[Difference]], str] = lambda differences: RENAME_ADVICE

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return int(self.config["seed"])


def execute(
    directory: Path,
    config: dict[str, Any],
    work: Callable[[Path], dict[str, Any]],
    overrides: Sequence[str] | None = None,
) -> dict[str, Any]:
    """:func:`execute_all` for one run, whose ``work`` takes the directory and returns the result."""
    run = Run(directory, config)
    return execute_all([run], lambda waiting: (work(run.directory) for run in waiting), overrides)[0]


@subnormals_flushed()  # evaluation too: a call from Python gives the numbers that the command gives
def execute_all(
    runs: Sequence[Run],
    work: Callable[[Sequence[Run]], Iterable[dict[str, Any]]],
    overrides: Sequence[str] | None = None,
    folder: Path | None = None,
) -> list[dict[str, Any]]:
    """Execute the runs that have no result yet, and return the results of all.

    ``result.json`` is written last, so that it marks a completed run.

    Args:
        runs: the runs; those without result are executed together.
        work: executes these runs, resuming from checkpoints in their directories, and yields for each the content of
            ``result.json`` without configuration, versions, git and machine. Of several processes, only the first
            yields.
        overrides: overrides on the command line, written to ``.hydra/overrides.yaml``.
        folder: folder of the checkpoints that several runs share.

    Returns:
        For each run the content of ``result.json``.

    Raises:
        RunConflictError: a directory holds a run with another configuration.
    """
    if not is_first():
        names = wait_for_announcement(runs[0].directory)
        waiting = [
            run
            for run in runs
            if (read_result(run.directory) is None if names is None else run.directory.name in names)
        ]
        for _ in work(waiting) if waiting else ():
            pass
        wait_for_all()
        return [result for run in runs if (result := read_result(run.directory)) is not None]
    with ExitStack() as locks:
        for run in sorted(runs, key=lambda run: run.directory):  # sorted, to avoid deadlocks
            locks.enter_context(lock(run.directory))
        try:
            results = [read_result(run.directory) for run in runs]
            for run in runs:
                check_same_data(run.directory.parents[1], run.config)
                _claim(run, folder)
                if overrides is not None:
                    write_text(run.directory / OVERRIDES, yaml.safe_dump(list(overrides)))
        except UserError:
            announce_runs(runs[0].directory, None)
            raise
        waiting = [run for run, result in zip(runs, results, strict=True) if result is None]
        announce_runs(runs[0].directory, [run.directory.name for run in waiting])
        for run, result in zip(runs, results, strict=True):
            if result is not None:
                log.info("%s: done already.", run.directory)
        new = iter(_work_on(waiting, work, overrides) if waiting else ())
        wait_for_all()
        return [next(new) if result is None else result for result in results]


def _work_on(
    waiting: list[Run], work: Callable[[Sequence[Run]], Iterable[dict[str, Any]]], overrides: Sequence[str] | None
) -> list[dict[str, Any]]:
    """Results of ``work``, each written at once; on an error, ``error.txt`` is written for the remaining runs.

    A run whose result is not finite has no result, and leaves those of the runs that it was trained with alone.
    """
    for run in waiting:
        for unfinished in run.directory.rglob(f".*{UNFINISHED}"):  # left by a killed process
            unfinished.unlink()
    # Before the work: that is the code that was imported, whatever the checkout holds at the end.
    code = running_code()
    before = [begin(run.directory, code) for run in waiting]
    results: list[dict[str, Any]] = []
    diverged: list[DivergenceError] = []
    try:
        for run, part, earlier in zip(waiting, work(waiting), before, strict=True):
            try:
                check_finite(run.directory.name, part)
            except DivergenceError as error:
                diverged.append(error)
                _write_error([run], error)
                continue
            origin = origin_of(run.directory, code, earlier, overrides)
            result = {**part, "config": run.config, **software_and_machine(code.git), **origin}
            write_json(run.directory / RESULT, result)
            record_data(run.directory.parents[1], f"{run.directory.parent.name}/{run.directory.name}", run.config)
            (run.directory / ERROR).unlink(missing_ok=True)
            results.append(result)
    except (PreemptedError, KeyboardInterrupt, SystemExit):
        raise  # stopped, not failed: the run can be resumed
    except BaseException as error:
        _write_error(waiting[len(results) + len(diverged) :], error)
        raise
    if diverged:
        raise diverged[0]
    return results


def _write_error(runs: Sequence[Run], error: BaseException) -> None:
    """Write ``error.txt`` for runs that an error, which is being handled, keeps from having a result."""
    inner = isinstance(error, InstantiationException) and isinstance(error.__cause__, UserError)
    cause = error.__cause__ if inner else error  # Hydra wraps user errors
    name = "" if isinstance(cause, UserError) else f"{type(cause).__name__}: "
    last = f"{name}{cause}".strip().replace("\n", " ")
    for run in runs:
        with suppress(OSError):  # the disk may be full
            write_text(run.directory / ERROR, f"{traceback.format_exc()}\n{last}\n")


def read_result(directory: Path) -> dict[str, Any] | None:
    """The run's result, or None if it is not done.

    Raises:
        RunConflictError: ``result.json`` cannot be read.
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


def _claim(run: Run, folder: Path | None) -> None:
    """Write the configuration into the run's directory; refuse if it has results of another configuration."""
    directory, path = run.directory, run.directory / CONFIG
    stored = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    config = json.loads(json.dumps(run.config))  # as read from a file: lists for tuples
    differences = list(differences_of(run.identity(stored), run.identity(config))) if stored else []
    if differences and (_has_work(directory) or (folder is not None and any(folder.rglob("*.ckpt")))):
        key, old, new = differences[0]
        more = f" ({len(differences) - 1} more keys differ)" if len(differences) > 1 else ""
        what = "on files that held something else" if key.endswith(".content") else f"with {key}={old}"
        this = f"{key}={new}" if not key.endswith(".content") else f"{_path_of(config, key)} as it is now"
        raise RunConflictError(
            f"{directory} already holds a run {what}, this one has {this}{more}. {run.advice(differences)}"
        )
    write_text(path, yaml.safe_dump(dict(run.config), sort_keys=False, allow_unicode=True))


def _path_of(config: Mapping[str, Any], key: str) -> str:
    """The setting with the file's path, ``data.path=mine.npz``, for the key of its content, ``data.content``."""
    group = key.split(".")[0]
    where = "path" if group == "data" else "stack"
    return f"{group}.{where}={config[group][where]}"


def _has_work(directory: Path) -> bool:
    """Whether the directory has a result or checkpoints."""
    return (directory / RESULT).exists() or any(path.is_file() for path in (directory / "checkpoints").rglob("*"))


def differences_of(old: Any, new: Any, key: str = "") -> Iterator[Difference]:
    """Dotted key, old and new value of each difference between two nested configurations."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in [*old, *(name for name in new if name not in old)]:
            yield from differences_of(old.get(name, ABSENT), new.get(name, ABSENT), f"{key}.{name}".lstrip("."))
    elif old != new and {str(old), str(new)} != {ABSENT, "None"}:  # None is equivalent to an absent key
        yield key, old, new


def software_and_machine(git: Mapping[str, Any] | None) -> dict[str, Any]:
    """``versions`` of packages, state of the code (``git``), and ``machine``, for ``result.json``."""
    packages = ("layerwise-dbn", "torch", "pytorch-lightning", "hydra-core", "numpy", "scikit-learn")
    versions = {"python": platform.python_version(), **{name: metadata.version(name) for name in packages}}
    return {"versions": versions, "git": git, "machine": _machine()}


def _machine() -> dict[str, Any]:
    """Processor, threads and accelerator."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "system": platform.platform(),
        "cpu": processor_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "float32_products": "oneDNN" if onednn_is_faster() else "as torch takes them",
        "gpu": gpu,
    }
