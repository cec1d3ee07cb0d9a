"""A worker of ``hydra/launcher=local``: a process that runs one job of the multirun after another."""

import ctypes
import os
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cloudpickle

from dbn.commands.local.shares import Share

PR_SET_PDEATHSIG = 1


def work(connection: Connection, share: Share, log_file: str) -> None:
    """Receive jobs and send back what became of them, until there are no more.

    A message in is a pickled ``(number, overrides, hydra_context, task, config, singletons)``, or None; one out is
    ``(number, pickled JobReturn)``, or ``(number, path of the last checkpoint or None)`` after an interruption, of type
    bytes and str or None.

    Args:
        connection: to the launcher.
        share: cores and GPU of this worker.
        log_file: what jobs print goes there.
    """
    os.environ.update(share.environment())  # before anything imports torch
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, share.cores)
    os.setpgrp()  # Ctrl-C goes to the launcher, which passes it on
    stop_with_parent()
    descriptor = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    from dbn.fitting.interrupts import interruptible
    from dbn.fitting.preemption import PreemptedError, preemption

    number = -1
    try:
        with interruptible():
            while (message := connection.recv_bytes()) != b"":
                preemption.checkpoint = None  # that of the previous job
                number, *job = cloudpickle.loads(message)
                connection.send((number, cloudpickle.dumps(run(number, *job))))
    except PreemptedError:
        checkpoint = preemption.checkpoint
        connection.send((number, None if checkpoint is None else str(Path(checkpoint).absolute())))
    except EOFError:
        sys.exit(1)  # the launcher is gone


def run(number: int, overrides: list[str], hydra_context: Any, task: Any, config: Any, singletons: Any) -> Any:
    """Run a job as Hydra's own launcher does; returns Hydra's record of it."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.singleton import Singleton
    from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
    from omegaconf import open_dict

    setup_globals()
    Singleton.set_state(singletons)
    own = hydra_context.config_loader.load_sweep_config(config, overrides)
    with open_dict(own):
        own.hydra.job.id = own.hydra.job.num = number
    HydraConfig.instance().set_config(own)
    record = run_job(
        hydra_context=hydra_context, task_function=task, config=own, job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )  # fmt: skip
    if record.status == JobStatus.FAILED:
        traceback.print_exception(record._return_value)
        print(f"#{number} failed: {' '.join(overrides)}", file=sys.stderr, flush=True)
    try:
        cloudpickle.loads(cloudpickle.dumps(record))
    except Exception:  # an error of a class that cannot be pickled
        text = f"{type(record._return_value).__name__}: {record._return_value}"
        return JobReturn(overrides=overrides, status=JobStatus.FAILED, _return_value=RuntimeError(text))
    return record


def stop_with_parent() -> None:
    """Let the kernel send SIGTERM when the launcher ends, on Linux: jobs then stop after a checkpoint."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    except (OSError, AttributeError):  # another system
        return
