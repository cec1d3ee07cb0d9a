"""Means and samples of units from their fields: bias, function, noise and comparison in one launch."""

import triton
import triton.language as tl
from torch import Tensor

from dbn.machine.kernels.philox import BLOCKS, four_draws, quarter, segment_grid
from dbn.random.device_noise import DeviceNoise

FUNCTIONS = ("sigmoid", "identity", "relu")
"""From field plus bias to the mean. They name the law of a sample, too: Bernoulli, normal with unit variance, and
``max(0, a + N(0, sigmoid(a)))``, see :mod:`dbn.models.units`."""


def write_units(
    function: str,
    field: Tensor,
    bias: Tensor,
    *,
    mean: Tensor | None = None,
    state: Tensor | None = None,
    noise: DeviceNoise | None = None,
) -> None:
    """Write means and, with noise, a sample; computed in the bias's dtype, rounded where the destination's is shorter.

    Args:
        function: one of :data:`FUNCTIONS`.
        field: ``(batch, n)``, in a group ``(members, batch, n)``.
        bias: ``(n,)``, in a group ``(members, 1, n)``.
        mean: destination of the means, contiguous, or None; may be ``field`` itself.
        state: destination of the sample, contiguous, or None; may be ``field`` itself.
        noise: source of the sample's noise, with a seed for each member; its next call.
    """
    n = field.shape[-1]
    members = bias.numel() // n
    each = field.numel() // members
    field = field.contiguous()
    assert all(x.is_contiguous() for x in (bias, mean, state) if x is not None)
    assert all(x.shape == field.shape for x in (mean, state) if x is not None)
    assert (noise is None) == (state is None)
    assert noise is None or len(noise.seeds) == members
    units_kernel[segment_grid(each, members, field.device)](
        field,
        bias,
        field if mean is None else mean,
        field if state is None else state,
        bias if noise is None else noise.seeds,
        each,
        n,
        quarter(each),
        0 if noise is None else noise.next_call(),
        FUNCTION=function,
        MEAN=mean is not None,
        STATE=state is not None,
        BLOCK=BLOCKS[field.device.type],
    )


@triton.jit
def mean_of(a, FUNCTION: tl.constexpr):
    """Mean from field plus bias; a sigmoid is exactly 0 and 1 far out."""
    if FUNCTION == "sigmoid":
        a = 1.0 / (1.0 + tl.exp(-a))
    if FUNCTION == "relu":
        a = tl.maximum(a, 0.0)
    return a


@triton.jit
def state_of(a, mean, draw, FUNCTION: tl.constexpr):
    """A sample from field plus bias, its mean, and a uniform (``sigmoid``) or normal number."""
    if FUNCTION == "sigmoid":
        state = tl.where(draw < mean, 1.0, 0.0)
    elif FUNCTION == "identity":
        state = mean + draw
    else:
        state = tl.maximum(a + draw * tl.sqrt(1.0 / (1.0 + tl.exp(-a))), 0.0)
    return state


@triton.jit
def write_segment(field, bias, mean, state, draw, i, inside, each, n, FUNCTION: tl.constexpr, MEAN: tl.constexpr,
                  STATE: tl.constexpr):  # fmt: skip
    """Units ``i`` of a member, where they are in one."""
    mask = inside & (i < each)
    b = tl.load(bias + i % n, mask=mask, other=0.0)
    a = tl.load(field + i, mask=mask, other=0.0).to(b.dtype) + b
    m = mean_of(a, FUNCTION)
    if MEAN:
        tl.store(mean + i, m.to(mean.dtype.element_ty), mask=mask)
    if STATE:
        tl.store(state + i, state_of(a, m, draw, FUNCTION).to(state.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=["call"])
def units_kernel(field, bias, mean, state, seeds, each, n, quarter, call, FUNCTION: tl.constexpr, MEAN: tl.constexpr,
                 STATE: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """One program: ``BLOCK`` units of each of a member's four segments."""
    member = tl.program_id(1)
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < quarter
    if STATE:
        w, x, y, z = four_draws(seeds, member, i, call, FUNCTION != "sigmoid")
    else:
        w, x, y, z = 0, 0, 0, 0
    start = member.to(tl.int64) * each
    field, mean, state, bias = field + start, mean + start, state + start, bias + member * n
    write_segment(field, bias, mean, state, w, i, inside, each, n, FUNCTION, MEAN, STATE)
    write_segment(field, bias, mean, state, x, i + quarter, inside, each, n, FUNCTION, MEAN, STATE)
    write_segment(field, bias, mean, state, y, i + 2 * quarter, inside, each, n, FUNCTION, MEAN, STATE)
    write_segment(field, bias, mean, state, z, i + 3 * quarter, inside, each, n, FUNCTION, MEAN, STATE)
