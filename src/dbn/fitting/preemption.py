"""Told to stop: the signal that SLURM sends before a job is preempted or out of time, and going back in the queue.

Ctrl-C stops a run in the same way (:mod:`dbn.fitting.interrupts`), but for good.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)

SIGNAL = signal.SIGUSR1
SECONDS_TO_BE_STOPPED = 60.0


class PreemptedError(BaseException):
    """This process has been told to stop, and has come to a moment at which it can.

    No :class:`Exception`: nobody on the way who handles errors shall take it for one.
    """


class Preemption:
    """Whether this process has been told to stop, and whether it can at any moment or only at chosen ones.

    Attributes:
        requested: it has been told.
        by_person: by a person, with Ctrl-C.
        fitting: a fit is under way.
    """

    def __init__(self) -> None:
        self.requested = False
        self.by_person = False
        self.fitting = False

    def receive(self, number: int, frame: FrameType | None) -> None:
        """The signal: stop here and now, unless a fit is under way, which stops at its next checkpoint.

        Raises:
            PreemptedError: no fit is under way.
        """
        self.requested = True
        if not self.fitting:
            raise PreemptedError

    def remember(self, number: int, frame: FrameType | None) -> None:
        """The signal between two runs of one process: the next one stops as it starts, if there is one."""
        self.requested = True

    @contextmanager
    def during_fit(self) -> Iterator[None]:
        """A fit: it looks at ``requested`` itself, see :meth:`stop_if_requested`.

        Raises:
            PreemptedError: the signal came too late for the fit to see it.
        """
        self.fitting = True
        try:
            yield
        finally:
            self.fitting = False
        self.stop_if_requested()

    def stop_if_requested(self) -> None:
        """Stop here if this process has been told to.

        Raises:
            PreemptedError: it has.
        """
        if self.requested:
            raise PreemptedError


preemption = Preemption()
"""Of this process."""


@contextmanager
def requeueing() -> Iterator[None]:
    """Within a SLURM job: on the signal, put the job back into the queue and wait for SLURM to stop this process.

    It comes up again with the same command in the same directory, and goes on from there. Outside of SLURM, nothing.
    """
    if job_id() is None:
        yield
        return
    before = signal.signal(SIGNAL, preemption.receive)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {SIGNAL})  # batch files let it wait until here: it may come now
        preemption.stop_if_requested()  # it came between the run before and this one
        yield
    except PreemptedError:
        if preemption.by_person:
            raise
        signal.signal(SIGNAL, signal.SIG_IGN)  # once is enough
        requeue()
    finally:  # a signal after the last run is nobody's any more
        signal.signal(SIGNAL, preemption.remember if before == signal.SIG_DFL else before)


def job_id() -> str | None:
    """The number of the SLURM job that this process belongs to, an array's element as ``7_3``; None outside of one."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    if array is not None:
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ.get("SLURM_JOB_ID")


def requeue() -> None:
    """Put this process's job back into the queue (its first process does that), and wait to be stopped.

    Raises:
        SystemExit: SLURM refuses, or does not stop the job.
    """
    job = job_id()
    assert job is not None
    if os.environ.get("SLURM_PROCID", "0") == "0":
        log.info("Job %s was told to stop: it goes back into the queue, and on from its last checkpoint there.", job)
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(
                f"SLURM does not put job {job} back into the queue ({done.stderr.strip()}). Submitted again, the same "
                "command goes on from its last checkpoint. Submit with --requeue to have that done.",
                file=sys.stderr,
            )
            sys.exit(1)
    time.sleep(SECONDS_TO_BE_STOPPED)
    sys.exit(1)
