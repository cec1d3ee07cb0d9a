"""Subnormal numbers as zeros, in every thread that computes.

Momentum and weights of dead rectified units shrink by a constant factor per step. Between 1e-38 and 1e-45, below the
normal range of float32, many processors need over a hundred cycles for a product, and with round to nearest a momentum
of 0.9 never leaves that range. The processor can take such numbers for zeros instead.

This is a setting of each thread, which a thread takes over from the one that starts it. torch's own pool of threads is
started by the first operation that is large enough; a pool that exists already is ended, so that the next operation
starts another one. Backpropagation on a CPU runs in the calling thread and this pool, oneDNN and MKL compute in it too,
and threads that read images ahead are started within a fit.
"""

import ctypes
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch

log = logging.getLogger(__name__)

SHARE = 32768
"""Elements for which torch's elementwise operations start another thread (``at::internal::GRAIN_SIZE``)."""
OMP_PAUSE_HARD = 2  # omp.h


def flush_subnormals() -> bool:
    """Take subnormal numbers for zeros from now on: in this thread, in torch's pool, and in threads started from here.

    Returns:
        Whether all of torch's threads do so; False for a processor or a build of torch that cannot, which is logged.
    """
    if not all_threads_flush():
        for dtype in (np.float32, np.float64):
            np.finfo(dtype)  # before numpy 2.4 computed at first use, with a warning if subnormal numbers are zeros
        torch.set_flush_denormal(True)
        end_thread_pool()
        if not all_threads_flush():
            log_failure()
            return False
    return True


@contextmanager
def subnormals_flushed() -> Iterator[None]:
    """Context in which subnormal numbers are taken for zeros, see :func:`flush_subnormals`.

    Afterwards the calling thread, and the threads that it starts, treat them as before.
    """
    before = thread_flushes()
    flush_subnormals()
    try:
        yield
    finally:
        if not before:
            torch.set_flush_denormal(False)
            end_thread_pool()


def thread_flushes() -> bool:
    """Whether the calling thread takes subnormal numbers for zeros, as factors and as products."""
    return products_flush(2)


def all_threads_flush() -> bool:
    """Whether all threads of torch's pool do, found by a computation that they share."""
    return products_flush(SHARE * torch.get_num_threads())


def products_flush(n: int) -> bool:
    """Whether ``n`` products, alternately with a subnormal factor and with a subnormal result, are all zeros."""
    smallest, smallest_normal = 1, 0x00800000  # as bits: 2^-149, 2^-126
    a = torch.tensor([smallest, smallest_normal], dtype=torch.int32).repeat(n // 2).view(torch.float32)
    b = torch.tensor([2.0**100, 0.5]).repeat(n // 2)
    return not (a * b).view(torch.int32).any()


def end_thread_pool() -> None:
    """End the pool of OpenMP threads that works for the calling thread; the next operation starts another one.

    Nothing happens if torch's OpenMP library does not offer it (libgomp and LLVM's do since 2019).
    """
    pause = getattr(ctypes.CDLL(torch._C.__file__), "omp_pause_resource_all", None)  # found in torch's own libraries
    if pause is not None:
        pause(OMP_PAUSE_HARD)


@cache
def log_failure() -> None:
    """Log, once, that subnormal numbers are not flushed."""
    log.info(
        "Subnormal numbers cannot be taken for zeros in all of torch's threads on this machine: networks with dead "
        "rectified units may train more slowly."
    )
