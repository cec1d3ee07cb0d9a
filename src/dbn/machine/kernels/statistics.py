"""Statistics of both phases for the gradient: weighted hidden means and sums over states, in one launch."""

import triton
import triton.language as tl
from torch import Tensor

from dbn.machine.kernels.units import mean_of

ROWS, COLUMNS = 128, 16
"""States and units that a program holds at a time."""


def write_statistics(
    function: str,
    v: Tensor,
    field: Tensor,
    hidden_bias: Tensor,
    state_weights: Tensor,
    *,
    weighted_mean: Tensor,
    visible_sum: Tensor,
    hidden_sum: Tensor,
) -> None:
    r"""Write what remains of the gradient but the product :math:`\sum_s v_s\,(w_s\,E[h|v_s])^T`.

    Args:
        function: of the hidden units, one of :data:`dbn.machine.kernels.units.FUNCTIONS`.
        v: visible states ``(states, n_visible)``, in a group ``(phases, members, batch, n_visible)``.
        field: hidden field, ``(states, n_hidden)`` or with the same leading dimensions as ``v``.
        hidden_bias: ``(n_hidden,)``, in a group ``(members, 1, n_hidden)``.
        state_weights: ``w``, ``(states,)``, in a group ``(phases, members, batch)``.
        weighted_mean: destination of ``w * E[h|v]``, of the shape of ``field``, which it may be.
        visible_sum: destination of ``sum_s w_s v_s``, of the shape of the visible units' bias.
        hidden_sum: destination of ``sum_s w_s E[h|v_s]``, of the shape of ``hidden_bias``. Of unbounded real units
            (``identity``) it is the sum of the fields: the weights sum to zero, so that the biases cancel.
    """
    assert all(
        x.is_contiguous() for x in (v, field, hidden_bias, state_weights, weighted_mean, visible_sum, hidden_sum)
    )
    phases, members, batch = state_weights.shape if state_weights.dim() == 3 else (1, 1, len(state_weights))
    n_visible, n_hidden = v.shape[-1], field.shape[-1]
    programs = triton.cdiv(n_hidden, COLUMNS) + triton.cdiv(n_visible, COLUMNS)
    statistics_kernel[(programs, members)](
        v, field, hidden_bias, state_weights, weighted_mean, visible_sum, hidden_sum,
        n_visible, n_hidden, batch, phases,
        FUNCTION=function, ROWS=ROWS, COLUMNS=COLUMNS,
    )  # fmt: skip


@triton.jit
def statistics_kernel(v, field, bias, weights, weighted_mean, visible_sum, hidden_sum, n_visible, n_hidden, batch,
                      phases, FUNCTION: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # fmt: skip
    """One program: all states of a member for ``COLUMNS`` units, hidden ones first."""
    member, members = tl.program_id(1), tl.num_programs(1)
    hidden_programs = tl.cdiv(n_hidden, COLUMNS)
    row, column = tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    if tl.program_id(0) < hidden_programs:
        column += tl.program_id(0) * COLUMNS
        b = tl.load(bias + member * n_hidden + column, mask=column < n_hidden, other=0.0)
        total = b * 0.0
        for phase in range(0, phases):
            state = (phase * members + member) * batch
            for start in range(0, batch, ROWS):
                r = start + row
                w = tl.load(weights + state + r, mask=r < batch, other=0.0)
                at = (state + r).to(tl.int64)[:, None] * n_hidden + column[None, :]
                mask = (r < batch)[:, None] & (column < n_hidden)[None, :]
                f = tl.load(field + at, mask=mask, other=0.0).to(b.dtype)
                weighted = w[:, None] * mean_of(f + b[None, :], FUNCTION)
                tl.store(weighted_mean + at, weighted.to(weighted_mean.dtype.element_ty), mask=mask)
                if FUNCTION == "identity":
                    weighted = w[:, None] * f
                total += tl.sum(weighted, 0)
        tl.store(hidden_sum + member * n_hidden + column, total, mask=column < n_hidden)
    else:
        column += (tl.program_id(0) - hidden_programs) * COLUMNS
        total = tl.zeros((COLUMNS,), visible_sum.dtype.element_ty)
        for phase in range(0, phases):
            state = (phase * members + member) * batch
            for start in range(0, batch, ROWS):
                r = start + row
                w = tl.load(weights + state + r, mask=r < batch, other=0.0)
                at = (state + r).to(tl.int64)[:, None] * n_visible + column[None, :]
                mask = (r < batch)[:, None] & (column < n_visible)[None, :]
                x = tl.load(v + at, mask=mask, other=0.0).to(total.dtype)
                total += tl.sum(w[:, None] * x, 0)
        tl.store(visible_sum + member * n_visible + column, total, mask=column < n_visible)
