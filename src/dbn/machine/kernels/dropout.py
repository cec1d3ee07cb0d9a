"""Dropout in one launch: noise, comparison, product, and the mask that the backward pass multiplies with."""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from dbn.machine.kernels.philox import BLOCKS, four_draws, quarter, segment_grid
from dbn.random.device_noise import DeviceNoise


class KernelDropout(torch.autograd.Function):
    """``x * (u < keep)`` with uniform noise ``u``, for ``x`` ``(..., n)``, in a group ``(members, ..., n)``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keep: float, noise: DeviceNoise) -> Tensor:
        """Of each member, with the noise of the source's next call."""
        x = x.contiguous()
        out, mask = torch.empty_like(x), torch.empty_like(x, dtype=torch.uint8)
        members = len(noise.seeds)
        each = x.numel() // members
        dropout_kernel[segment_grid(each, members, x.device)](
            x, out, mask, noise.seeds, each, quarter(each), noise.next_call(), keep, BLOCK=BLOCKS[x.device.type]
        )
        ctx.save_for_backward(mask)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None]:
        """The gradient where units were kept."""
        (mask,) = ctx.saved_tensors
        return gradient * mask if ctx.needs_input_grad[0] else None, None, None


@triton.jit
def drop_segment(x, out, mask, draw, keep, i, each, inside):
    """Numbers ``i`` of a member, where they are in one."""
    here = inside & (i < each)
    kept = draw < keep
    tl.store(out + i, tl.where(kept, tl.load(x + i, mask=here), 0.0).to(out.dtype.element_ty), mask=here)
    tl.store(mask + i, kept.to(tl.uint8), mask=here)


@triton.jit(do_not_specialize=["call"])
def dropout_kernel(x, out, mask, seeds, each, quarter, call, keep, BLOCK: tl.constexpr):
    """One program: ``BLOCK`` numbers of each of a member's four segments."""
    member = tl.program_id(1)
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < quarter
    p, q, r, s = four_draws(seeds, member, i, call, False)
    start = member.to(tl.int64) * each
    x, out, mask = x + start, out + start, mask + start
    drop_segment(x, out, mask, p, keep, i, each, inside)
    drop_segment(x, out, mask, q, keep, i + quarter, each, inside)
    drop_segment(x, out, mask, r, keep, i + 2 * quarter, each, inside)
    drop_segment(x, out, mask, s, keep, i + 3 * quarter, each, inside)
