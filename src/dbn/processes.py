"""The processes of a run that share its work: which one this is, and waiting for each other.

All of them go the same way through the same code; files, logs and results are the first one's.
"""

import os

import torch

RANK_VARIABLES = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
"""Where launchers say which process this is, before the processes know of each other: torchrun, Lightning, srun."""


def rank() -> int:
    """Number of this process among those of its run, from 0."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank()
    return next((int(os.environ[name]) for name in RANK_VARIABLES if name in os.environ), 0)


def is_first() -> bool:
    """Whether this is the process that writes."""
    return rank() == 0


def wait_for_all() -> None:
    """Go on when all processes of the run have come here; alone, at once."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()


def sum_over_all(*values: torch.Tensor) -> list[torch.Tensor]:
    """Each value added up over all processes of the run; alone, itself."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        for value in values:
            torch.distributed.all_reduce(value)
    return list(values)
