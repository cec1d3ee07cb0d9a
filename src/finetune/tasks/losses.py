"""Losses of a classifier: cross-entropy, squared error, perceptron criterion."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Loss = Callable[[Tensor, Tensor, float], Tensor]
"""``(outputs (n, n_classes) before any output activation, labels (n), label smoothing) -> losses (n)``."""


def cross_entropy(outputs: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Softmax and negative log-likelihood, in nats; ``labels`` may be class probabilities ``(n, n_classes)``."""
    return F.cross_entropy(outputs, labels, reduction="none", label_smoothing=smoothing)


def squared(outputs: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    r"""Squared error of sigmoid outputs o and one-hot targets t: :math:`\frac12 \sum_c (o_c - t_c)^2`.

    References:
        Rumelhart, Hinton & Williams (1986), *Learning representations by back-propagating errors*, Nature 323:533.
    """
    targets = one_hot(labels, outputs)
    if smoothing:
        targets = targets * (1 - smoothing) + smoothing / outputs.shape[-1]
    return 0.5 * (torch.sigmoid(outputs) - targets).square().sum(-1)


def perceptron(outputs: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    r"""Perceptron criterion, one unit for each class against the others: :math:`\sum_c \max(0, -t_c a_c)`, t = 1 or -1.

    A unit is wrong if the sign of its pre-activation a differs from t, or a is zero. Gradient descent with learning
    rate 1 on single images is then Rosenblatt's rule, w += t x for wrong units.

    References:
        Rosenblatt (1958), *The perceptron*, Psychological Review 65:386. Novikoff (1962), *On convergence proofs on
        perceptrons*, bounds the number of mistakes for separable classes.
    """
    targets = 2.0 * one_hot(labels, outputs) - 1.0
    margins = targets * outputs
    return torch.where(margins <= 0, -margins, torch.zeros_like(margins)).sum(-1)


def one_hot(labels: Tensor, outputs: Tensor) -> Tensor:
    """Targets of the shape and type of ``outputs``; torch's own are whole numbers."""
    return torch.zeros_like(outputs).scatter_(-1, labels.unsqueeze(-1), 1.0)


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "squared": squared, "perceptron": perceptron}
