"""Scores of labels, of which each is a sum over hidden units that share their field: forward, and derivatives.

The score of label ``y`` is ``s_y = sum_j log(1 + exp(f_j + U_yj))``, for fields ``f`` that include the biases of the
hidden units (Larochelle & Bengio 2008, equation 2). One label is computed after the other, so that what is computed
stays in a core's cache. In a group of models the members are the first dimension of all shapes but that of phases.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def label_scores(field: Tensor, weight: Tensor) -> Tensor:
    """Scores ``(batch, n_labels)`` in nats, of ``field`` ``(batch, n)`` with ``weight`` ``(n_labels, n)``."""
    of_labels = [F.softplus(field + weight[..., [y], :]).sum(-1) for y in range(weight.shape[-2])]
    return torch.stack(of_labels, -1)


def score_gradients(field: Tensor, weight: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of ``(coefficients * label_scores(field, weight)).sum()``.

    Args:
        field: ``(states, n)``, in a group ``(members, batch, n)`` or ``(phases, members, batch, n)``.
        weight: ``(n_labels, n)``, in a group ``(members, n_labels, n)``.
        coefficients: ``(states, n_labels)``, in a group as ``field``.

    Returns:
        By the fields, of their shape, and by the weight, of its shape.
    """
    by_field, on, rows = torch.zeros_like(field), torch.empty_like(field), []
    for y in range(weight.shape[-2]):
        torch.add(field, weight[..., [y], :], out=on).sigmoid_()
        own = coefficients[..., y]
        rows.append(own @ on if own.dim() == 1 else (own.unsqueeze(-2) @ on).squeeze(-2))
        by_field.addcmul_(on, own.unsqueeze(-1))
    by_weight = torch.stack(rows, -2)
    return by_field, by_weight.sum(0) if by_weight.dim() == 4 else by_weight


class LabelScores(torch.autograd.Function):
    """:func:`label_scores` whose backward pass is :func:`score_gradients`: it keeps fields, and nothing per label."""

    @staticmethod
    def forward(ctx: Any, field: Tensor, weight: Tensor) -> Tensor:
        """Scores, see :func:`label_scores`."""
        ctx.save_for_backward(field, weight)
        return label_scores(field, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of fields and weight."""
        field, weight = ctx.saved_tensors
        return score_gradients(field, weight, gradient)
