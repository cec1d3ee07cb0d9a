"""Load that other processes put on this machine, from ``/proc/stat``: a duration is only comparable without it."""

import os
from pathlib import Path

STAT = Path("/proc/stat")
IDLE = (3, 4)
"""Columns of ``/proc/stat`` in which a processor does nothing: idle, and waiting for a disk (proc(5))."""
GUEST = (8, 9)
"""Columns that are contained in others: time of virtual machines that run on this one."""


def seconds_of_others(n_processes: int = 1) -> float | None:
    """Processor time that processes other than this one have used since the system started, in seconds.

    Only differences between two calls have a meaning. Time that a hypervisor gave to other machines counts.

    Args:
        n_processes: processes of this run on this machine; they are assumed to use as much time as this one.

    Returns:
        The time over all cores; None where the system does not say.
    """
    try:
        fields = STAT.read_text(encoding="utf-8").split("\n", 1)[0].split()[1:]
    except OSError:
        return None
    ticks = sum(int(value) for column, value in enumerate(fields) if column not in (*IDLE, *GUEST))
    own = os.times()
    return ticks / os.sysconf("SC_CLK_TCK") - n_processes * sum(own[:4])
