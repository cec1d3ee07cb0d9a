"""Named random streams: all randomness of a run comes from one seed, by name.

A stream's numbers depend on ``(seed, name, counters)`` only. So two arms of a comparison with the same seed see the
same split and the same order of images, an arm that draws more numbers shifts nobody else's, and training that is
resumed draws what it would have drawn.
"""

import zlib

import numpy as np
import torch


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
