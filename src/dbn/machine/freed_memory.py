"""Memory that tensors have given back, kept for the next ones."""

import ctypes
import os
from functools import cache

LARGEST_KEPT = 32 << 20
KEPT = 512 << 20
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


@cache
def keep_freed_memory() -> bool:
    """Let glibc's allocator keep up to half a gigabyte of freed memory, in place of giving it back at once.

    A network's minibatch makes and drops the same megabytes again and again; taken fresh from the system each time,
    they cost a page fault every 4 KiB: a fifth of a step of fine-tuning at batch 1000. Tensors of more than 32 MiB come
    from the system as before. A person's own settings (``MALLOC_...``, ``GLIBC_TUNABLES``) stay.

    Returns:
        Whether it was done: not where there is another allocator, or the person has decided.
    """
    if any(name.startswith("MALLOC_") for name in os.environ) or "malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    # Either setting alone would stop glibc from adapting the other one.
    return mallopt is not None and bool(mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT) and mallopt(M_TRIM_THRESHOLD, KEPT))
