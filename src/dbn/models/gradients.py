"""Writing of gradients without autograd."""

import torch
from torch import Tensor, nn


def gradient_of(parameter: nn.Parameter) -> Tensor:
    """The parameter's ``grad``, allocated as zeros if it is None; autograd may add to it later."""
    gradient = parameter.grad
    if gradient is None:
        with torch.inference_mode(False):
            gradient = parameter.grad = torch.zeros_like(parameter)
    return gradient


def add_weighted_sum(parameter: nn.Parameter, x: Tensor, weights: Tensor) -> None:
    """Add ``weights @ x`` to ``parameter.grad``; shapes as for :func:`write_weighted_sum`."""
    if weights.dim() == 1:
        gradient_of(parameter).addmv_(x.T, weights)
    else:
        gradient_of(parameter).add_((weights.unsqueeze(-2) @ x).sum(0))


def write_weighted_sum(parameter: nn.Parameter, x: Tensor, weights: Tensor) -> None:
    """``parameter.grad = weights @ x``, for ``x`` ``(states, n)`` and ``weights`` ``(states,)``.

    In a group the parameter is ``(members, 1, n)``, ``x`` ``(phases, members, batch, n)`` and ``weights``
    ``(phases, members, batch)``.
    """
    if weights.dim() == 1:
        torch.mv(x.T, weights, out=gradient_of(parameter))
    else:
        torch.sum(weights.unsqueeze(-2) @ x, 0, out=gradient_of(parameter))
