"""Memory that tensors give back serves the next ones: seen in page faults, which are counted, not timed."""

import ctypes
import os
import subprocess
import sys

import pytest

from dbn.machine.freed_memory import keep_freed_memory

FAULTS = """
import resource, torch
from dbn.machine.freed_memory import keep_freed_memory
print(keep_freed_memory())
def work():
    kept = [torch.ones(1000, 2000) for _ in range(12)]  # 8 MB each
for _ in range(3):
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES = 20 * 12 * 8_000_000 // 4096


def run(**environment: str) -> tuple[bool, int]:
    """Whether it was done, and the page faults of twenty rounds in which 96 MB are made and dropped."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", FAULTS]
    done, faults = subprocess.run(
        command, env={**clean, **environment}, check=True, capture_output=True, text=True
    ).stdout.split()
    return done == "True", int(faults)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="this C library's allocator has no mallopt")
def test_freed_memory_is_not_fetched_again() -> None:
    done, faults = run()
    assert done
    assert faults < PAGES / 100
    done, faults = run(MALLOC_MMAP_THRESHOLD_="131072")
    assert not done, "a person's own setting was overruled"
    assert faults > PAGES / 2


def test_a_person_s_tunables_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.trim_threshold=1000")
    keep_freed_memory.cache_clear()
    assert not keep_freed_memory()
    keep_freed_memory.cache_clear()


def test_a_c_library_without_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    keep_freed_memory.cache_clear()
    assert not keep_freed_memory()
    keep_freed_memory.cache_clear()
