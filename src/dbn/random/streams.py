"""Named random streams: all randomness of a run is derived from one seed.

A stream's numbers depend on ``(seed, name, counters)`` only. So arms with the same seed have the same split and order
of images, whatever else they draw, and resumed training draws the same numbers as uninterrupted training.
"""

import zlib
from collections.abc import Sequence

import numpy as np
import torch

from dbn.random.device_noise import DeviceNoise

Generators = torch.Generator | Sequence[torch.Generator]
"""One generator, or one for each member of a group, whose tensors have the members as their first dimension."""
Source = Generators | DeviceNoise
"""Generators, or the seeds of all members in a device's memory."""
Noise = Source | None
"""Source of random numbers; None: torch's global generator."""


def stream_seed(seed: int, name: str, *counters: int) -> int:
    """A 64-bit seed for the stream ``name`` of ``seed`` at ``counters`` (layer, epoch, block, rank, ...).

    Uses :class:`numpy.random.SeedSequence`, whose hash keeps nearby entropy (seed 1 and seed 2) far apart.
    """
    key = (zlib.crc32(name.encode()), len(counters), *counters)  # the length: trailing zeros do not change the hash
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)[0])


def stream(seed: int, name: str, *counters: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for the stream ``name`` of ``seed`` at ``counters``, on ``device``.

    Torch's CPU generator uses the low 32 bits of a seed: two streams coincide with probability 2**-32.

    Raises:
        ValueError: ``seed`` or a counter is negative.
    """
    generator = torch.Generator(device=device)
    generator.manual_seed(stream_seed(seed, name, *counters))
    return generator


def streams(seeds: Sequence[int], name: str, *counters: int, device: torch.device | str = "cpu") -> Generators:
    """A generator for each of ``seeds``, see :func:`stream`; for a single seed, the generator itself."""
    generators = [stream(seed, name, *counters, device=device) for seed in seeds]
    return generators[0] if len(generators) == 1 else generators
