"""Going back into the queue from a job that has no ``scontrol``, as in many containers: by what is at hand instead."""

import logging
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

log = logging.getLogger(__name__)

PUTS_BACK = "DBN_PUTS_BACK"
"""Environment variable of a batch file that puts its job back when a command ends with :data:`TOLD_TO_STOP`."""
SUBMITIT = "SUBMITIT_EXECUTOR"
"""Environment variable of the jobs of Hydra's launcher: such a job is one command, and nothing around it."""
TOLD_TO_STOP = 138
"""Exit status: 128 + SIGUSR1. Sites may list it as ``RequeueExit`` in slurm.conf."""
SECONDS_FOR_OTHERS = 5.0
"""Other processes of the job end first: srun's exit status is the highest of all, and a killed one's is higher."""
SECONDS_OF_GRACE = 150.0
"""Longer than the signal comes before the end (``--signal=SIGUSR1@120``)."""
OPTIONS = {
    "SLURM_JOB_NAME": "job-name",
    "SLURM_JOB_PARTITION": "partition",
    "SLURM_JOB_ACCOUNT": "account",
    "SLURM_JOB_QOS": "qos",
    "SLURM_JOB_NUM_NODES": "nodes",
    "SLURM_NTASKS_PER_NODE": "ntasks-per-node",
    "SLURM_CPUS_PER_TASK": "cpus-per-task",
    "SLURM_GPUS_PER_NODE": "gpus-per-node",
    "SLURM_MEM_PER_NODE": "mem",
}
"""What a job was given, and sbatch's options for it."""


def leave_for_later(job: str, command: str) -> NoReturn:
    """End this process, the first of its job, so that the job is started again; say by what, or that nothing will.

    Args:
        job: id of the job.
        command: goes on from the last checkpoint.

    Raises:
        SystemExit: always.
    """
    if int(os.environ.get("SLURM_NTASKS", "1")) > 1:
        time.sleep(SECONDS_FOR_OTHERS)
    if os.environ.get(PUTS_BACK):
        log.info("There is no scontrol here: job %s is put back into the queue by its batch file.", job)
        sys.exit(TOLD_TO_STOP)
    if command and os.environ.get(SUBMITIT) and (again := submit_behind(job, command)) is not None:
        log.info("There is no scontrol here: job %s, submitted behind job %s, goes on.", again, job)
        sys.exit(0)
    log.warning(
        "There is no scontrol here, and nothing else that puts job %s back into the queue. If SLURM preempts it, SLURM "
        "does; otherwise submit it again, or in this folder\n  %s\nIt goes on from its last checkpoint.",
        job, command,
    )  # fmt: skip
    time.sleep(SECONDS_OF_GRACE)  # a job that ends by itself while it is preempted is not put back
    sys.exit(TOLD_TO_STOP)


def submit_behind(job: str, command: str) -> str | None:
    """Submit a command as a job like this one that starts when this one is over.

    Returns:
        The new job's id; None where there is no ``sbatch``, or it refuses.
    """
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("SLURM_") or key == "SLURM_CONF"
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    options = [f"--{option}={os.environ[name]}" for name, option in OPTIONS.items() if os.environ.get(name)]
    options += [*_time_limit(os.environ), *_same_log(), "--signal=SIGUSR1@120", "--requeue", "--open-mode=append"]
    step = f"srun --kill-on-bad-exit=1 env --block-signal=USR1 {command}"
    words = ["sbatch", "--parsable", f"--dependency=afterany:{job}", *options, f"--wrap={step}"]
    try:
        done = subprocess.run(words, env={**environment, "PATH": path}, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    if done.returncode != 0:
        log.warning("%s: %s", shlex.join(words), done.stderr.strip())
        return None
    return done.stdout.strip().partition(";")[0]


def _same_log() -> list[str]:
    """Options for output to the files that this process's goes to, where it goes to files."""
    options = []
    for number, option in ((1, "output"), (2, "error")):
        try:
            target = Path(f"/proc/self/fd/{number}").readlink()
        except OSError:  # closed, or not Linux
            continue
        if target.is_absolute() and target.is_file():
            options.append(f"--{option}={target}")
    return options


def _time_limit(environment: Mapping[str, str]) -> list[str]:
    """The job's time limit, in minutes, where SLURM states its start and end (from version 22.05 on)."""
    try:
        seconds = int(environment["SLURM_JOB_END_TIME"]) - int(environment["SLURM_JOB_START_TIME"])
    except (KeyError, ValueError):
        return []
    return [f"--time={-(-seconds // 60)}"]
