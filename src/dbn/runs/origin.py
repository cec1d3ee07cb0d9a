"""What a run was made by: the code, also that of earlier attempts, what is installed, and the command."""

import logging
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dbn.runs.code import RunningCode
from dbn.runs.process_record import read_process, record_process
from dbn.runs.snapshot import FOLDER, record_packages

log = logging.getLogger(__name__)


def begin(directory: Path, code: RunningCode) -> tuple[str, ...]:
    """Record that this process works on a run; say where another code has begun it.

    Returns:
        Hashes of other code that earlier attempts at the run were made by, whose work is gone on from.
    """
    earlier = read_process(directory)
    before: tuple[str, ...] = ()
    if earlier is not None and earlier.code and any(path.is_file() for path in (directory / "checkpoints").rglob("*")):
        before = earlier.code_before
        if earlier.code != code.name:
            before = (*before, earlier.code)
            log.warning(
                "%s: begun by code %s, goes on by code %s. Move the folder away to have it made by one.",
                directory, earlier.code, code.name,
            )  # fmt: skip
    record_process(directory, code.git, code.name, before)
    return before


def origin_of(
    directory: Path, code: RunningCode, before: Sequence[str], overrides: Sequence[str] | None
) -> dict[str, Any]:
    """What ``result.json`` says of what a run was made by.

    Args:
        directory: of the run, ``<study>/<stage>/<name>``.
        code: that of this process.
        before: see :func:`begin`.
        overrides: on the command line; None for a run that was not started by a command of its own.

    Returns:
        ``code``, and where there is one ``code_before``, ``command``, and of frozen code the study's list of installed
        ``packages``.
    """
    origin: dict[str, Any] = {"code": code.name}
    if before:
        origin["code_before"] = list(before)
    study = directory.parents[1]
    frozen = code.root is not None and code.root.parent == (study / FOLDER).resolve()
    if frozen:
        origin["packages"] = record_packages(study)
    if overrides is not None:
        path = f"PYTHONPATH={shlex.quote(os.path.relpath(code.root))} " if frozen and code.root is not None else ""
        once = ["hydra.mode=RUN"] if any(one.startswith("sweep=") for one in overrides) else []  # one of its many
        origin["command"] = path + shlex.join([f"dbn-{directory.parent.name}", *overrides, *once])
    return origin
