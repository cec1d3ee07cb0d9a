"""SLURM's batch files: their options, how long an array may be, and handing them in."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dbn.errors import SettingError

OPTIONS = {
    "nodes": "nodes",
    "tasks_per_node": "ntasks-per-node",
    "cpus_per_task": "cpus-per-task",
    "gpus_per_node": "gpus-per-node",
    "partition": "partition",
    "account": "account",
    "qos": "qos",
    "constraint": "constraint",
    "exclude": "exclude",
}
"""Settings of a launcher, ``hydra.launcher.<key>``, and sbatch's options for them."""
DEFAULT_ARRAY_SIZE = 1001
"""SLURM's own value of MaxArraySize."""


def batch_options(launcher: Mapping[str, Any]) -> list[str]:
    """Options of sbatch, ``--partition=gpu``, for what a launcher's settings ask for."""
    options = [f"--{option}={launcher[key]}" for key, option in OPTIONS.items() if launcher.get(key) is not None]
    if launcher.get("timeout_min") is not None:
        options.append(f"--time={launcher['timeout_min']}")
    if launcher.get("mem_gb") is not None:
        options.append(f"--mem={launcher['mem_gb']}G")
    for key, value in (launcher.get("additional_parameters") or {}).items():
        if value is not False and value is not None:
            options.append(f"--{key.replace('_', '-')}" if value is True else f"--{key.replace('_', '-')}={value}")
    return options


def array_sizes(n_jobs: int, largest: int) -> list[int]:
    """Sizes of as few arrays as hold the jobs, none larger than ``largest``."""
    return [min(largest, n_jobs - first) for first in range(0, n_jobs, largest)]


def max_array_size() -> int:
    """Number of jobs that an array of this cluster may have: its setting MaxArraySize.

    Raises:
        SettingError: there is no SLURM here, it does not answer, or only ``scontrol`` is missing.
    """
    if shutil.which("scontrol") is None and shutil.which("sbatch") is not None:
        raise SettingError(
            "submit=true: there is no scontrol here, which says how many jobs an array may have. Give it as "
            f"cluster.max_array_size={DEFAULT_ARRAY_SIZE}, SLURM's own value, or what the site's documentation says."
        )
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _slurm("scontrol", "show", "config"), re.MULTILINE)
    return int(found.group(1)) if found else DEFAULT_ARRAY_SIZE


def submit(script: Path, options: Sequence[str], *arguments: str) -> str:
    """Hand in a batch file; returns the number of the job.

    Raises:
        SettingError: SLURM refuses it; the message is SLURM's.
    """
    return _slurm("sbatch", "--parsable", *options, str(script), *arguments).strip().partition(";")[0]


def cancel(jobs: Sequence[str]) -> None:
    """Take jobs out of the queue.

    Raises:
        SettingError: SLURM refuses to; the message is SLURM's.
    """
    if jobs:
        _slurm("scancel", *jobs)


def _slurm(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise SettingError(
            f"submit=true: {command[0]} is not on this machine's PATH. Submit from the cluster's login node, or leave "
            "submit=true out and run the sweep here."
        ) from error
    if done.returncode != 0:
        raise SettingError(
            f"submit=true: {command[0]} says: {done.stderr.strip()}. What is asked for stands in hydra.launcher.<key> "
            "or in the file that cluster=<site> names; where the site limits the number of jobs, runs_per_job=10 makes "
            "fewer of them."
        )
    return done.stdout
