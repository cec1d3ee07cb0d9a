"""Kernels for NVIDIA GPUs, written in Triton: several of torch's small ones in one launch.

:func:`has_kernels` is the only place that decides between these and plain torch. The other modules of this package
import Triton and are imported only where it says yes.
"""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec

import torch

from dbn.random.streams import Source, stream_seed, streams

DEVICES = ("cuda",)
"""Types of device that kernels are for. In Triton's interpreter they run on a CPU, too, for tests."""


def has_kernels(device: torch.device) -> bool:
    """Whether this package's kernels replace plain torch on ``device``: on NVIDIA GPUs, where Triton is installed."""
    return device.type in DEVICES and has_triton()


@cache
def has_triton() -> bool:
    """Whether Triton is installed; kernels are not tried on AMD's GPUs, which torch calls ``cuda``, too."""
    return find_spec("triton") is not None and torch.version.hip is None


def kernel_streams(seeds: Sequence[int], name: str, *counters: int, device: torch.device) -> Source:
    """As :func:`dbn.random.streams.streams`, for noise that is drawn within kernels where there are some."""
    if not has_kernels(device):
        return streams(seeds, name, *counters, device=device)
    from dbn.machine.kernels.philox import Philox  # imports Triton

    return Philox.seeded([stream_seed(seed, name, *counters) for seed in seeds], device)
