"""Stochastic gradient descent for several parameters in one launch, which keeps bfloat16 copies of them up to date."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor, nn

from dbn.machine.kernels.copies import copy_of, mark_kept

BLOCK = 1024
SLOTS = 4
"""Parameters of one launch."""


@dataclass(slots=True)
class Update:
    """The update of one parameter.

    Attributes:
        parameter: contiguous, float32.
        gradient: of the same shape.
        momentum_buffer: of the same shape, or None without momentum; filled with zeros before the first step.
        lr: learning rate, a number or a float32 tensor ``()`` on the device, which each launch reads anew.
        weight_decay: L2 penalty.
        momentum: share of the momentum that stays.
        take: share of the gradient that enters the momentum.
    """

    parameter: nn.Parameter
    gradient: Tensor
    momentum_buffer: Tensor | None
    lr: float | Tensor
    weight_decay: float
    momentum: float
    take: float


def supports(parameter: nn.Parameter, lr: float | Tensor) -> bool:
    """Whether the kernel can update a parameter that has a gradient: float32, contiguous, fewer than 2^31 numbers."""
    return (
        parameter.dtype == torch.float32
        and parameter.is_contiguous()
        and parameter.grad is not None
        and parameter.grad.is_contiguous()
        and parameter.numel() < 2**31 - BLOCK
        and (not isinstance(lr, Tensor) or lr.device == parameter.device)
    )


def sgd(updates: Sequence[Update], *, nesterov: bool, maximize: bool) -> None:
    """Take steps as :class:`torch.optim.SGD` does, :data:`SLOTS` parameters at a time.

    Args:
        updates: of each parameter; learning rates are all numbers or all tensors.
        nesterov: Nesterov's momentum.
        maximize: gradient ascent.
    """
    for start in range(0, len(updates), SLOTS):
        some = updates[start : start + SLOTS]
        arguments: list[Any] = []
        blocks = 0
        for update in some:
            arguments += arguments_of(update, update.parameter.numel())
            blocks += triton.cdiv(update.parameter.numel(), BLOCK)
        for _ in range(SLOTS - len(some)):
            arguments += arguments_of(some[0], 0)
        sgd_kernel[(blocks,)](
            *arguments,
            NESTEROV=nesterov,
            MAXIMIZE=maximize,
            LR_IN_MEMORY=isinstance(some[0].lr, Tensor),
            BLOCK=BLOCK,
        )
        for update in some:
            copy = copy_of(update.parameter)
            if copy is not None:
                mark_kept(update.parameter, copy)


def arguments_of(update: Update, n: int) -> tuple[Any, ...]:
    """A slot's arguments; ``n`` is 0 for an empty slot."""
    parameter, buffer, copy = update.parameter, update.momentum_buffer, copy_of(update.parameter)
    return (
        parameter,
        update.gradient,
        parameter if buffer is None else buffer,
        parameter if copy is None else copy,
        n,
        update.lr if isinstance(update.lr, Tensor) else float(update.lr),
        float(update.weight_decay),
        float(update.momentum),
        float(update.take),
        0 if buffer is None else n,
        0 if copy is None else n,
    )


@triton.jit
def update_block(block, p, g, m, c, n, lr, decay, momentum, take, n_momentum, n_copy, NESTEROV: tl.constexpr,
                 MAXIMIZE: tl.constexpr, LR_IN_MEMORY: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """A block of one parameter ``p`` with gradient ``g``, momentum ``m`` and copy ``c``."""
    i = block * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    if LR_IN_MEMORY:
        lr = tl.load(lr).to(tl.float32)
    parameter, gradient = tl.load(p + i, mask=inside), tl.load(g + i, mask=inside)
    if MAXIMIZE:
        gradient = -gradient
    gradient += decay * parameter
    moved = take * gradient + momentum * tl.load(m + i, mask=i < n_momentum, other=0.0)
    tl.store(m + i, moved, mask=i < n_momentum)
    if NESTEROV:
        moved = gradient + momentum * moved
    parameter -= lr * moved
    tl.store(p + i, parameter, mask=inside)
    tl.store(c + i, parameter.to(c.dtype.element_ty), mask=i < n_copy)


UNSPECIALISED = [f"{name}{slot}" for name in ("n", "n_momentum", "n_copy") for slot in range(4)]
"""A kernel that is compiled while a CUDA graph records would spoil it: settings must not need another."""


@triton.jit(do_not_specialize=UNSPECIALISED)
def sgd_kernel(
    p0, g0, m0, c0, n0, lr0, decay0, momentum0, take0, n_momentum0, n_copy0,
    p1, g1, m1, c1, n1, lr1, decay1, momentum1, take1, n_momentum1, n_copy1,
    p2, g2, m2, c2, n2, lr2, decay2, momentum2, take2, n_momentum2, n_copy2,
    p3, g3, m3, c3, n3, lr3, decay3, momentum3, take3, n_momentum3, n_copy3,
    NESTEROV: tl.constexpr, MAXIMIZE: tl.constexpr, LR_IN_MEMORY: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One program: ``BLOCK`` numbers of one of four parameters."""
    block = tl.program_id(0)
    first = tl.cdiv(n0, BLOCK)
    second = first + tl.cdiv(n1, BLOCK)
    third = second + tl.cdiv(n2, BLOCK)
    if block < first:
        update_block(block, p0, g0, m0, c0, n0, lr0, decay0, momentum0, take0, n_momentum0, n_copy0,
                     NESTEROV, MAXIMIZE, LR_IN_MEMORY, BLOCK)  # fmt: skip
    elif block < second:
        update_block(block - first, p1, g1, m1, c1, n1, lr1, decay1, momentum1, take1, n_momentum1, n_copy1,
                     NESTEROV, MAXIMIZE, LR_IN_MEMORY, BLOCK)  # fmt: skip
    elif block < third:
        update_block(block - second, p2, g2, m2, c2, n2, lr2, decay2, momentum2, take2, n_momentum2, n_copy2,
                     NESTEROV, MAXIMIZE, LR_IN_MEMORY, BLOCK)  # fmt: skip
    else:
        update_block(block - third, p3, g3, m3, c3, n3, lr3, decay3, momentum3, take3, n_momentum3, n_copy3,
                     NESTEROV, MAXIMIZE, LR_IN_MEMORY, BLOCK)  # fmt: skip
