"""The processes of a run that share its work: collective operations, and synchronisation before training.

All processes execute the same code; only the first one writes files, logs and results.
"""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from dbn.errors import RunConflictError, SettingError
from dbn.files import write_json
from dbn.fitting.ranks import is_distributed, rank


def wait_for_all() -> None:
    """Wait until all processes of the run have come here."""
    if is_distributed():
        torch.distributed.barrier()


def sum_over_all(*values: torch.Tensor) -> list[torch.Tensor]:
    """Sum each value over all processes of the run, in place."""
    if is_distributed():
        for value in values:
            torch.distributed.all_reduce(value)
    return list(values)


def summed_over_all(value: Tensor) -> Tensor:
    """The sum of a value over all processes of the run, through which gradients pass: sums of every process's."""
    from torch.distributed.nn.functional import all_reduce  # not in every build of torch

    summed: Tensor = all_reduce(value)
    return summed


def gather_from_all(value: torch.Tensor) -> list[torch.Tensor]:
    """The value of each process of the run, in order of rank."""
    if not is_distributed():
        return [value]
    values = [torch.empty_like(value) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(values, value)
    return values


StateOfProcesses = dict[str, Tensor] | list[dict[str, Tensor]]
"""State for a checkpoint: that of the only process, or that of each by rank."""


def of_all_processes(state: dict[str, Tensor]) -> StateOfProcesses:
    """State that differs between processes, for a checkpoint; called in all of them."""
    if not is_distributed():
        return state
    states: list[dict[str, Tensor]] = [{} for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather_object(states, {name: own.cpu() for name, own in state.items()})
    return states


def of_this_process(state: StateOfProcesses, key: str, what: str) -> dict[str, Tensor]:
    """The part of :func:`of_all_processes` that belongs to this process.

    Args:
        state: of a checkpoint.
        key: the setting that it belongs to, and
        what: words for it, for the message.

    Raises:
        SettingError: the checkpoint was written by another number of processes.
    """
    states = state if isinstance(state, list) else [state]
    processes = torch.distributed.get_world_size() if is_distributed() else 1
    if len(states) == processes:
        return states[rank()] if processes > 1 else states[0]
    if not any(states):
        return {}
    raise SettingError(
        f"{key}: the checkpoint holds {what} of {len(states)} processes; this run has {processes}. Resume with "
        f"trainer.devices={len(states)}, or delete the folder checkpoints of the run to start its layer anew."
    )


def add_gradients(module: nn.Module, *others: Tensor) -> None:
    """Sum the gradients, and ``others`` in place, over all processes, in one all-reduce of a flat buffer.

    Lightning does not reduce gradients that are written by hand: without this, processes diverge silently.
    """
    if not is_distributed():
        return
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None] + list(others)
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    torch.distributed.all_reduce(flat)
    # Copied back: gradients that became views of the buffer would be aligned otherwise than at the first step, and
    # products that write to them rounded otherwise than after resuming.
    for gradient, added in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(added.view_as(gradient))


ANNOUNCEMENT = Path(".hydra") / "first_process.json"


def launch_id() -> str | None:
    """Id shared by all processes of one launch by srun or torchrun; None if there is no such launch."""
    if "SLURM_STEP_ID" in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1:
        return ".".join(os.environ.get(f"SLURM_{name}", "0") for name in ("JOB_ID", "STEP_ID", "RESTART_COUNT"))
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return f"{os.environ['TORCHELASTIC_RUN_ID']}.{os.environ.get('MASTER_PORT')}"
    return None


def announce_runs(directory: Path, waiting: Sequence[str] | None) -> None:
    """Tell the other processes which runs have no result yet; called by the first process when it holds the lock.

    Args:
        directory: of the first run.
        waiting: names of the directories of these runs; None if the first process refuses to work.
    """
    if launch_id() is not None:
        content = {"launch": launch_id(), "waiting": None if waiting is None else list(waiting)}
        write_json(directory / ANNOUNCEMENT, content)


def wait_for_announcement(directory: Path) -> list[str] | None:
    """Wait for :func:`announce_runs` of the first process; returns the names of the directories.

    None if Lightning started this process: the first process then holds the lock, and the files show what is missing.

    Raises:
        RunConflictError: the first process refuses to work.
    """
    if launch_id() is None:
        return None
    while True:
        try:
            announced = json.loads((directory / ANNOUNCEMENT).read_text(encoding="utf-8"))
        except FileNotFoundError:
            announced = {}
        if announced.get("launch") == launch_id():
            if announced["waiting"] is None:
                raise RunConflictError(f"{directory}: the first process refuses to work here; its message says why.")
            return [str(name) for name in announced["waiting"]]
        time.sleep(0.2)
