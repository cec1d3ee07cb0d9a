"""What each worker gets of a machine: a GPU, or some of the cores."""

import os
from dataclasses import dataclass

from dbn.errors import SettingError


@dataclass(frozen=True)
class Share:
    """A worker's part of the machine.

    Attributes:
        cores: numbers of its cores.
        gpu: its GPU, as in ``CUDA_VISIBLE_DEVICES``; None: it computes on its cores.
    """

    cores: tuple[int, ...]
    gpu: str | None = None

    def environment(self) -> dict[str, str]:
        """Variables that libraries read when they are imported."""
        variables = {"OMP_NUM_THREADS": str(len(self.cores)), "MKL_NUM_THREADS": str(len(self.cores))}
        return variables if self.gpu is None else {**variables, "CUDA_VISIBLE_DEVICES": self.gpu}


def shares_of(n_workers: int | None, cores: list[int], gpus: list[str]) -> list[Share]:
    """Divide the machine among workers.

    Args:
        n_workers: number of workers; None: one for each GPU, or without GPUs for each core.
        cores: numbers of the cores that this process may use.
        gpus: GPUs that this process may use; empty if jobs compute on the CPU.

    Raises:
        SettingError: there are fewer cores than workers.
    """
    n = (len(gpus) or len(cores)) if n_workers is None else n_workers
    if n > len(cores):
        raise SettingError(
            f"hydra.launcher.workers={n}: this process may use {len(cores)} cores, and every worker needs one. Use "
            f"hydra.launcher.workers={len(cores)}."
        )
    return [Share(tuple(cores[k::n]), gpus[k % len(gpus)] if gpus else None) for k in range(n)]


def own_cores() -> list[int]:
    """Numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def own_gpus(accelerator: str) -> list[str]:
    """The GPUs that jobs with ``trainer.accelerator=<accelerator>`` may use."""
    if accelerator == "cpu":
        return []
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [gpu.strip() for gpu in given.split(",") if gpu.strip()]
    import torch  # here: only a machine that may have GPUs needs to be asked for them

    return [str(k) for k in range(torch.cuda.device_count())]
