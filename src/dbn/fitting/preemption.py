"""Preemption: handling of the signal that SLURM sends before a job's end, and requeueing of the job.

Ctrl-C stops a run in the same way, without requeueing (:mod:`dbn.fitting.interrupts`).
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from dbn.fitting.without_scontrol import leave_for_later

log = logging.getLogger(__name__)

SIGNAL = signal.SIGUSR1
SECONDS_TO_BE_STOPPED = 60.0


class PreemptedError(BaseException):
    """Raised to stop this process after it was asked to, at a point where it can stop.

    Not an :class:`Exception`, so that general error handlers do not catch it.
    """


class TerminatedError(SystemExit):
    """A fit was stopped by SIGTERM: Lightning's ``SIGTERMException`` under a name that costs no import of Lightning."""


class Preemption:
    """State of the requests to stop this process.

    Attributes:
        requested: this process was asked to stop.
        from_keyboard: it was asked by Ctrl-C.
        fitting: a fit is running, which stops only after a checkpoint.
        checkpoint: the last checkpoint that this process has written or resumed from.
        command: goes on from there; empty where nobody has said so.
    """

    def __init__(self) -> None:
        self.requested = False
        self.from_keyboard = False
        self.fitting = False
        self.checkpoint: Path | None = None
        self.command = ""

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Signal handler during a run: stop immediately, or let a running fit stop at its next checkpoint.

        Raises:
            PreemptedError: no fit is running.
        """
        self.requested = True
        if not self.fitting:
            raise PreemptedError

    def remember(self, number: int, frame: FrameType | None) -> None:
        """Signal handler between two runs of one process: the next run stops as it starts."""
        self.requested = True

    @contextmanager
    def during_fit(self) -> Iterator[None]:
        """Within it, signals set ``requested``, which the fit checks.

        Raises:
            PreemptedError: the signal came after the fit's last check.
        """
        self.fitting = True
        try:
            yield
        finally:
            self.fitting = False
        self.stop_if_requested()

    def stop_if_requested(self) -> None:
        """Stop if this process was asked to.

        Raises:
            PreemptedError: it was.
        """
        if self.requested:
            raise PreemptedError


preemption = Preemption()
"""State of this process."""


@contextmanager
def requeueing(command: str = "") -> Iterator[None]:
    """Within a SLURM job, requeue the job on the signal and wait for SLURM to stop this process.

    The job is then started again with the same command, and resumes. Outside of SLURM, do nothing.

    Args:
        command: goes on from the last checkpoint, where the job cannot be requeued.
    """
    if job_id() is None:
        yield
        return
    preemption.command = command
    before = signal.signal(SIGNAL, preemption.receive)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {SIGNAL})  # batch files block it until here
        preemption.stop_if_requested()  # it came between two runs
        yield
    except PreemptedError:
        if preemption.from_keyboard:
            raise
        signal.signal(SIGNAL, signal.SIG_IGN)
        requeue()
    finally:
        signal.signal(SIGNAL, preemption.remember if before == signal.SIG_DFL else before)


def job_id() -> str | None:
    """Id of this process's SLURM job, ``7_3`` for an element of an array; None outside of SLURM."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    if array is not None:
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ.get("SLURM_JOB_ID")


def requeue() -> None:
    """Requeue this process's job (by its first process), and wait to be stopped.

    Without ``scontrol``, as in a container, by what else is at hand: :mod:`dbn.fitting.without_scontrol`.

    Raises:
        SystemExit: SLURM refuses, or does not stop the job in time.
    """
    job = job_id()
    assert job is not None
    if os.environ.get("SLURM_PROCID", "0") == "0":
        log.info("Job %s was told to stop: it goes back into the queue, and on from its last checkpoint there.", job)
        try:
            done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            leave_for_later(job, preemption.command)
        if done.returncode != 0:
            print(
                f"SLURM does not put job {job} back into the queue ({done.stderr.strip()}). Submitted again, the same "
                "command goes on from its last checkpoint. Submit with --requeue to have that done.",
                file=sys.stderr,
            )
            sys.exit(1)
    elif shutil.which("scontrol") is None:
        sys.exit(0)  # one that failed would end the first process's step before it has said how it ends
    time.sleep(SECONDS_TO_BE_STOPPED)
    sys.exit(1)
