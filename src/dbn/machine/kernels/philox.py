"""Random numbers within kernels, by Philox 4x32-10 with seeds in the device's memory.

Counter-based: number ``i`` of call ``c`` of a member is a function of the member's seed, ``c`` and ``i``. A member's
``n`` numbers are drawn in four segments of ``quarter(n)``: Philox gives four words at a time, one for each segment.

References:
    Salmon et al. (2011), *Parallel random numbers: as easy as 1, 2, 3*, SC11.
"""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from dbn.random.device_noise import DeviceNoise

ALIGNED = 32
"""Segments are multiples of this many numbers, so that a warp's accesses are aligned."""
BLOCKS = {"cuda": 128, "cpu": 1 << 16}
"""Numbers of a segment per program. In Triton's interpreter an operation takes as long for many numbers as for one."""


class Philox(DeviceNoise):
    """See :class:`dbn.random.device_noise.DeviceNoise`."""

    @classmethod
    def seeded(cls, seeds: Sequence[int], device: torch.device) -> "Philox":
        """A source with 64-bit seeds, one for each member."""
        signed = torch.tensor([seed - (1 << 64) if seed >> 63 else seed for seed in seeds])
        if device.type == "cuda":
            signed = signed.pin_memory()  # the host need not wait for the copy
        return cls(signed.to(device, non_blocking=True))

    def fill(self, out: Tensor, *, normal: bool) -> Tensor:
        """See :meth:`dbn.random.device_noise.DeviceNoise.fill`."""
        assert out.is_contiguous()
        members = len(self.seeds)
        n = out.numel() // members
        fill_kernel[segment_grid(n, members, out.device)](
            out, self.seeds, n, quarter(n), self.next_call(), NORMAL=normal, BLOCK=BLOCKS[out.device.type]
        )
        return out


def quarter(n: int) -> int:
    """Length of a segment of a member's ``n`` numbers."""
    return -(-n // (4 * ALIGNED)) * ALIGNED


def segment_grid(n: int, members: int, device: torch.device) -> tuple[int, int]:
    """Programs for ``n`` numbers of each member, in segments."""
    return triton.cdiv(quarter(n), BLOCKS[device.type]), members


@triton.jit
def uniform24(word):
    """A uniform number in [0, 1), a multiple of 2^-24: exact in float32, 0 and 1 are kept by ``uniform < mean``."""
    return (word >> 8).to(tl.float32) * 5.9604644775390625e-08


@triton.jit
def two_normals(one, other):
    """Box and Muller's transform; at most 6.8 in magnitude."""
    radius = tl.sqrt(-2.0 * tl.log((one.to(tl.float32) + 0.5) * 2.3283064365386963e-10))
    angle = 6.283185307179586 * uniform24(other)
    return radius * tl.cos(angle), radius * tl.sin(angle)


@triton.jit
def four_draws(seeds, member, i, call, NORMAL: tl.constexpr):
    """Number ``i`` of each of the four segments: uniform, or standard normal."""
    seed = tl.load(seeds + member)
    nothing = i * 0
    a, b, c, d = tl.philox(seed, i, nothing, nothing + call, nothing)
    if NORMAL:
        w, x = two_normals(a, b)
        y, z = two_normals(c, d)
    else:
        w, x, y, z = uniform24(a), uniform24(b), uniform24(c), uniform24(d)
    return w, x, y, z


@triton.jit
def store_number(out, number, i, n, inside):
    """Write number ``i`` of a member's ``n``."""
    tl.store(out + i, number.to(out.dtype.element_ty), mask=inside & (i < n))


@triton.jit(do_not_specialize=["call"])
def fill_kernel(out, seeds, n, quarter, call, NORMAL: tl.constexpr, BLOCK: tl.constexpr):
    """Write the numbers of one call."""
    member = tl.program_id(1)
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < quarter
    w, x, y, z = four_draws(seeds, member, i, call, NORMAL)
    own = out + member.to(tl.int64) * n
    store_number(own, w, i, n, inside)
    store_number(own, x, i + quarter, n, inside)
    store_number(own, y, i + 2 * quarter, n, inside)
    store_number(own, z, i + 3 * quarter, n, inside)
