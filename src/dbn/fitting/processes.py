"""The processes of a run that share its work: which one this is, and waiting for each other.

All of them go the same way through the same code; files, logs and results are the first one's.
"""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from dbn.errors import RunConflictError
from dbn.files import write_json

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


def of_each(value: torch.Tensor) -> list[torch.Tensor]:
    """What the value is in each process of the run, in order of rank; alone, itself."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [value]
    values = [torch.empty_like(value) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(values, value)
    return values


def add_gradients(module: nn.Module) -> None:
    """Add the gradients of all processes up, in one exchange of one flat buffer; alone, do nothing.

    Gradients written by hand are not reduced by Lightning: without this, processes drift apart silently.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    flat = nn.utils.parameters_to_vector(gradients)
    torch.distributed.all_reduce(flat)
    nn.utils.vector_to_parameters(flat, gradients)


WORD = Path(".hydra") / "first_process.json"


def started_as() -> str | None:
    """What the processes that a launcher started at once have in common and no others; None outside of such a start."""
    if "SLURM_STEP_ID" in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1:
        return ".".join(os.environ.get(f"SLURM_{name}", "0") for name in ("JOB_ID", "STEP_ID", "RESTART_COUNT"))
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return f"{os.environ['TORCHELASTIC_RUN_ID']}.{os.environ.get('MASTER_PORT')}"
    return None


def tell_others(directory: Path, waiting: Sequence[str] | None) -> None:
    """The first process says which runs there is work for, once it holds the lock.

    Args:
        directory: of the first run.
        waiting: names of the directories of the runs that have no result; None where it refuses to work.
    """
    if started_as() is not None:
        write_json(
            directory / WORD, {"started_as": started_as(), "waiting": None if waiting is None else list(waiting)}
        )


def hear_from_first(directory: Path) -> list[str] | None:
    """Wait for the first process to say which runs there is work for; it may have to wait for a lock.

    None where it has started this process itself, and says nothing: what there is to do is what there is in the files.

    Raises:
        RunConflictError: the first process refuses to work.
    """
    if started_as() is None:
        return None
    while True:
        try:
            word = json.loads((directory / WORD).read_text(encoding="utf-8"))
        except FileNotFoundError:
            word = {}
        if word.get("started_as") == started_as():
            if word["waiting"] is None:
                raise RunConflictError(f"{directory}: the first process refuses to work here; its message says why.")
            return [str(name) for name in word["waiting"]]
        time.sleep(0.2)
