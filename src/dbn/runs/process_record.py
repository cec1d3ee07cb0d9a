"""The file ``process.json`` of a run: which process works on it, or last did, for those who look from elsewhere."""

import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbn.files import write_json
from dbn.fitting.metrics_tail import METRICS, read_metrics_tail
from dbn.fitting.preemption import job_id

PROCESS = "process.json"
LOG = "DBN_LOG"
"""Environment variable by which a batch file tells its steps where their output goes: their own streams are pipes."""


@dataclass(frozen=True)
class ProcessRecord:
    """The process that works on a run, or last did.

    Attributes:
        host: name of its machine, as SLURM calls it in SLURM's jobs.
        pid: its number there.
        job: its SLURM job, ``7_3`` for an element of an array; None outside of SLURM.
        log: file that its output goes to; None where it goes to a terminal or a pipe.
        started: when it began to work on the run, in seconds since 1970.
        epochs: epochs of the run that were recorded by then, in earlier attempts.
        git: state of the code, see :func:`dbn.runs.checkout.checkout_state`; None where it is not known.
        code: hash of the code, see :mod:`dbn.runs.code`; empty where it is not known.
        code_before: hashes of other code that earlier attempts at the run were made by, the first first.
    """

    host: str
    pid: int
    job: str | None
    log: str | None
    started: float
    epochs: int = 0
    git: Mapping[str, Any] | None = None
    code: str = ""
    code_before: tuple[str, ...] = ()


def record_process(
    directory: Path, git: Mapping[str, Any] | None, code: str = "", code_before: Sequence[str] = ()
) -> None:
    """Write ``process.json`` of this process into a run's directory."""
    write_json(
        directory / PROCESS,
        {
            "host": os.environ.get("SLURMD_NODENAME") or socket.gethostname(),
            "pid": os.getpid(),
            "job": job_id(),
            "log": own_log(),
            "started": time.time(),
            "epochs": read_metrics_tail(directory / METRICS).epochs,
            "git": None if git is None else dict(git),
            "code": code,
            "code_before": list(code_before),
        },
    )


def read_process(directory: Path) -> ProcessRecord | None:
    """The record of a run's directory; None where there is none, as of runs of earlier versions, or it is damaged."""
    try:
        content = json.loads((directory / PROCESS).read_text(encoding="utf-8"))
        job, log, git = content["job"], content["log"], content["git"]
        return ProcessRecord(
            str(content["host"]),
            int(content["pid"]),
            None if job is None else str(job),
            None if log is None else str(log),
            float(content["started"]),
            int(content["epochs"]),
            git if isinstance(git, dict) else None,
            str(content.get("code") or ""),
            tuple(map(str, content.get("code_before") or ())),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def own_log() -> str | None:
    """File that this process's errors go to; None for a terminal or a pipe that nobody gave a name."""
    try:
        target = Path("/proc/self/fd/2").readlink()
        if target.is_absolute() and target.is_file():
            return str(target)
    except OSError:  # closed, or not Linux
        pass
    return os.environ.get(LOG) or None
