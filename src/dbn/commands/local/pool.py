"""The workers of ``hydra/launcher=local``, and the jobs that they are given."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

import cloudpickle

from dbn.commands.local.shares import Share
from dbn.commands.local.worker import work
from dbn.errors import WorkerError
from dbn.fitting.preemption import SIGNAL, PreemptedError, preemption

GRACE_SECONDS = 60.0
"""Time that workers have to write a checkpoint after an interruption."""


@dataclass(eq=False)
class Worker:
    """A process, the connection to it, and the number of the job that it runs."""

    process: BaseProcess
    connection: Connection
    job: int | None = None

    def start(self, number: int, message: bytes) -> None:
        """Give it a job."""
        self.job = number
        self.connection.send_bytes(message)


class Pool:
    """Processes that run jobs, each on its share of the machine.

    Args:
        shares: of the workers.
        folder: for what their jobs print, ``worker<k>.log``.
    """

    def __init__(self, shares: Sequence[Share], folder: Path) -> None:
        context = multiprocessing.get_context("spawn")  # a forked process would share torch's threads
        self.workers = []
        for number, share in enumerate(shares):
            here, there = context.Pipe()
            process = context.Process(
                target=work, args=(there, share, str(folder / f"worker{number}.log")), daemon=True
            )
            with environment(share.environment()):
                process.start()
            there.close()
            self.workers.append(Worker(process, here))

    def run(self, jobs: Sequence[Any], done: Callable[[int, Any], None]) -> None:
        """Run all jobs, each on the next worker that is free.

        Args:
            jobs: arguments of :func:`dbn.commands.local.worker.run` for each, the first of which is its number.
            done: called with a job's place in ``jobs`` and what became of it: Hydra's record, or a :class:`WorkerError`
                where its worker died.

        Raises:
            PreemptedError: Ctrl-C; the workers have written their checkpoints.
            WorkerError: all workers have died.
        """
        waiting = list(reversed(jobs))
        places = {job[0]: place for place, job in enumerate(jobs)}
        with passing_on(self.workers):
            try:
                while waiting or any(worker.job is not None for worker in self.workers):
                    for worker in self.workers:
                        if worker.job is None and waiting:
                            job = waiting.pop()
                            worker.start(job[0], cloudpickle.dumps(job))
                    self._receive(places, done)
                    if waiting and not self.workers:
                        raise WorkerError("All workers have died. dbn-status says which jobs are missing.")
            except PreemptedError:
                self.interrupt()
                raise

    def _receive(self, places: dict[int, int], done: Callable[[int, Any], None]) -> None:
        """Wait for a worker, and take what it sends."""
        for ready in wait([worker.connection for worker in self.workers if worker.job is not None]):
            worker = next(own for own in self.workers if own.connection is ready)
            assert worker.job is not None
            number, worker.job = worker.job, None
            try:
                _, answer = worker.connection.recv()
            except (EOFError, OSError):
                worker.process.join()
                self.workers.remove(worker)
                done(places[number], WorkerError(f"its process ended with status {worker.process.exitcode}"))
                continue
            done(places[number], cloudpickle.loads(answer))

    def interrupt(self) -> None:
        """Stop all jobs after a checkpoint, and remember the last one."""
        busy = [worker for worker in self.workers if worker.job is not None]
        for worker in busy:
            send(worker.process, signal.SIGINT)
        found = []
        for worker in busy:
            with contextlib.suppress(EOFError, OSError):
                if worker.connection.poll(GRACE_SECONDS):
                    _, answer = worker.connection.recv()
                    found += [Path(answer)] if isinstance(answer, str) else []
        checkpoints = [path for path in found if path.is_file()]
        preemption.checkpoint = max(checkpoints, key=lambda path: path.stat().st_mtime, default=None)

    def close(self) -> None:
        """End all workers."""
        for worker in self.workers:
            with contextlib.suppress(OSError):
                worker.connection.send_bytes(b"")
        for worker in self.workers:
            worker.process.join(GRACE_SECONDS if worker.job is None else 0.0)
            if worker.process.is_alive():
                worker.process.terminate()


@contextlib.contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Within it, environment variables have these values; a process that is started inherits them."""
    before = {key: os.environ.get(key) for key in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


@contextlib.contextmanager
def passing_on(workers: Sequence[Worker]) -> Iterator[None]:
    """Within it, SLURM's signal before a job's end goes to the workers, whose jobs save and requeue."""

    def receive(number: int, frame: FrameType | None) -> None:
        for worker in workers:
            send(worker.process, SIGNAL)

    if "SLURM_JOB_ID" not in os.environ:
        yield
        return
    before = signal.signal(SIGNAL, receive)
    try:
        yield
    finally:
        signal.signal(SIGNAL, before)


def send(process: BaseProcess, number: int) -> None:
    """Send a signal to a process, if it is there still."""
    with contextlib.suppress(ProcessLookupError):
        if process.pid is not None:
            os.kill(process.pid, number)
