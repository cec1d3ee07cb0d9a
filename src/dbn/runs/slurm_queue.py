"""What SLURM's queue says of jobs."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

WAITING = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "SUSPENDED"})
"""States of jobs that SLURM has not started, or has put back."""
SECONDS = 20.0
"""A busy controller answers within seconds."""


@dataclass(frozen=True)
class QueuedJob:
    """A job in the queue.

    Attributes:
        state: SLURM's word, ``PENDING``, ``RUNNING``, ...
        reason: why it waits, in SLURM's word (``Priority``, ``Resources``, ...); empty for a running job.
        nodes: where it runs; empty for a waiting job.
    """

    state: str
    reason: str = ""
    nodes: str = ""

    @property
    def waits(self) -> bool:
        """Whether it has not started."""
        return self.state in WAITING


@dataclass(frozen=True)
class Queue:
    """Jobs in the queue by id, elements of arrays as ``7_3``; and why nothing is known, where that is so."""

    jobs: Mapping[str, QueuedJob] = field(default_factory=dict)
    unknown: str | None = None

    def reasons(self) -> dict[str, int]:
        """How many jobs wait for each reason, the most frequent first."""
        return dict(Counter(job.reason or job.state for job in self.jobs.values() if job.waits).most_common())


def queue_of(jobs: Collection[str]) -> Queue:
    """Look jobs up in the queue; those that are over, or that SLURM has forgotten, are not in it.

    Args:
        jobs: ids as of :func:`dbn.fitting.preemption.job_id`. Without any, SLURM is not asked.
    """
    if not jobs:
        return Queue()
    if shutil.which("squeue") is None:
        return Queue(unknown="squeue is not on this machine's PATH: look from the cluster's login node")
    arrays = sorted({job.partition("_")[0] for job in jobs})
    command = ["squeue", "--noheader", "--array", f"--jobs={','.join(arrays)}", "--format=%i|%T|%N|%r"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Queue(unknown=f"squeue: {error}")
    if done.returncode != 0 and "Invalid job id" not in done.stderr:  # that: the only job is forgotten
        words = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return Queue(unknown=f"squeue: {words[-1]}")
    return Queue(dict(_job(line) for line in done.stdout.splitlines() if line.count("|") >= 3))


def _job(line: str) -> tuple[str, QueuedJob]:
    number, state, nodes, reason = line.strip().split("|", 3)
    running = state not in WAITING
    return number, QueuedJob(state, "" if running else reason.strip("()"), nodes)
