"""Named random streams: all randomness of a run comes from one seed, by name.

A stream's numbers depend on ``(seed, name, counters)`` only. So two arms of a comparison with the same seed see the
same split and the same order of images, an arm that draws more numbers shifts nobody else's, and training that is
resumed draws what it would have drawn.
"""

import zlib
from collections.abc import Sequence

import numpy as np
import torch

Generators = torch.Generator | Sequence[torch.Generator]
"""One generator, or one for each member of a group of models that train together, whose tensors have the members as
their first dimension."""
Noise = Generators | None
"""Where random numbers come from; None: torch's global generator."""


def seed_of(seed: int, name: str, *counters: int) -> int:
    """A 64-bit seed for the stream ``name`` of ``seed`` at ``counters`` (layer, epoch, block, rank, ...).

    Uses :class:`numpy.random.SeedSequence`, whose hash keeps nearby entropy (seed 1 and seed 2) far apart.
    """
    key = (zlib.crc32(name.encode()), len(counters), *counters)  # the length: trailing zeros alone change no hash
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)[0])


def stream(seed: int, name: str, *counters: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for the stream ``name`` of ``seed`` at ``counters``, on ``device``.

    Torch's CPU generator keeps the low 32 bits of a seed: two given streams coincide with probability 2**-32.

    Raises:
        ValueError: ``seed`` or a counter is negative.
    """
    generator = torch.Generator(device=device)
    generator.manual_seed(seed_of(seed, name, *counters))
    return generator


def streams(seeds: Sequence[int], name: str, *counters: int, device: torch.device | str = "cpu") -> Generators:
    """The stream ``name`` of each of ``seeds``; of a single seed, its generator itself."""
    generators = [stream(seed, name, *counters, device=device) for seed in seeds]
    return generators[0] if len(generators) == 1 else generators
