"""The kernels' random numbers, computed with numpy."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

U64 = np.uint64
Words = NDArray[np.uint64]


def philox(counter: tuple[Words, ...], key: tuple[int, int]) -> tuple[Words, ...]:
    """Philox 4x32-10 (Salmon et al. 2011): four words of 32 bits, for arrays of counters."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        one, other = c0 * U64(0xD2511F53), c2 * U64(0xCD9E8D57)
        c0, c1, c2, c3 = (
            (other >> U64(32)) ^ c1 ^ U64(k0),
            other & U64(0xFFFFFFFF),
            (one >> U64(32)) ^ c3 ^ U64(k1),
            one & U64(0xFFFFFFFF),
        )
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c0, c1, c2, c3


def words(seed: int, call: int, n: int) -> tuple[Words, ...]:
    """The words of a member's four segments, each of a multiple of 32."""
    i = np.arange(-(-n // 128) * 32, dtype=np.uint64)
    return philox((i, 0 * i, 0 * i + U64(call), 0 * i), (seed % 2**32, seed >> 32))


def uniform(seed: int, call: int, n: int) -> Tensor:
    """A member's ``n`` uniform numbers, float64."""
    return torch.from_numpy(np.concatenate(words(seed, call, n))[:n] >> U64(8)).double() / 2**24


def normal(seed: int, call: int, n: int) -> Tensor:
    """A member's ``n`` normal numbers by Box and Muller's transform, float64."""
    a, b, c, d = words(seed, call, n)
    segments = []
    for one, other in ((a, b), (c, d)):
        radius = np.sqrt(-2 * np.log((one.astype(float) + 0.5) / 2**32))
        angle = 2 * np.pi * (other >> U64(8)).astype(float) / 2**24
        segments += [radius * np.cos(angle), radius * np.sin(angle)]
    return torch.from_numpy(np.concatenate(segments)[:n])
