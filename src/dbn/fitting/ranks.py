"""Which of the processes of a run this one is. Without torch: a command asks before it knows that it will train."""

import os
import sys

RANK_VARIABLES = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
"""Environment variables with the rank, set by torchrun, Lightning and srun, before torch.distributed is initialised."""


def is_distributed() -> bool:
    """Whether torch.distributed is initialised."""
    distributed = sys.modules.get("torch.distributed")  # nobody has initialised what nobody has imported
    return distributed is not None and bool(distributed.is_available() and distributed.is_initialized())


def rank() -> int:
    """Rank of this process, from 0."""
    if is_distributed():
        return int(sys.modules["torch.distributed"].get_rank())
    return next((int(os.environ[name]) for name in RANK_VARIABLES if name in os.environ), 0)


def is_first() -> bool:
    """Whether this is the process that writes files."""
    return rank() == 0
