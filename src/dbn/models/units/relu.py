"""Noisy rectified linear units."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from dbn.models.gradients import write_weighted_sum
from dbn.models.units.base import Units
from dbn.random.noise import normal
from dbn.random.streams import Noise


class ReLU(Units):
    r"""Rectified linear units :math:`x \in R_{\ge 0}^n` with energy :math:`E(x) = \sum_i \frac12 x_i^2 - b_i x_i`.

    Given a field :math:`f`, with :math:`a = b + f`, a sample is :math:`\max(0, a + N(0, \sigma(a)))` and the
    deterministic mean is :math:`\max(0, a)`, so that a stack of such units unrolls into a network of rectifiers. Nair
    and Hinton use both as approximations of the sum of infinitely many binary units with shared weights and biases
    ``b - 0.5``, ``b - 1.5``, ...

    The log partition is the noiseless one, :math:`\max_{x \ge 0} (f x - E(x)) = \frac12 \max(0, a)^2`, whose gradient
    is that mean. So free energies are those of the best hidden state: useful to detect overfitting, but no likelihoods,
    see :attr:`normalised`. With rectified units on both sides of an RBM the energy is bounded below only while the
    largest singular value of ``W`` is under one.

    Args:
        shape: number of units ``n``, or their shape.

    References:
        Nair & Hinton (2010), *Rectified Linear Units Improve Restricted Boltzmann Machines*, ICML, section 2.
    """

    kind: ClassVar[str] = "relu"
    activation = "relu"
    interval: ClassVar[tuple[float, float]] = (0.0, math.inf)
    normalised: ClassVar[bool] = False

    def energy(self, x: Tensor) -> Tensor:
        """Energy of non-negative states ``x`` ``(batch, n)``; returns ``(batch,)`` in nats."""
        return (x * (0.5 * x - self.bias)).sum(-1)

    def log_partition(self, field: Tensor) -> Tensor:
        """``max over x of field . x - E(x)``; ``field`` ``(batch, n)`` -> ``(batch,)`` in nats."""
        return 0.5 * torch.relu(field + self.bias).square().sum(-1)

    def mean(self, field: Tensor, out: Tensor | None = None) -> Tensor:
        """``max(0, b + field)``, ``(batch, n)``: the deterministic mean, which is below that of samples."""
        return torch.add(field, self.bias, out=out).relu_()

    def mean_slope(self, mean: Tensor) -> Tensor:
        """One where the mean is positive, else zero."""
        return (mean > 0).to(mean)

    def sample(
        self, field: Tensor, generator: Noise = None, out: Tensor | None = None, mean: Tensor | None = None
    ) -> Tensor:
        """``max(0, a + N(0, sigmoid(a)))`` with ``a = b + field``, ``(batch, n)``; ``mean`` is not used."""
        a = torch.add(field, self.bias)
        noise = normal(a, generator).mul_(torch.sigmoid(a).sqrt_())
        return torch.add(a, noise, out=out).relu_()

    def write_minus_energy_gradient(self, x: Tensor, weights: Tensor) -> None:
        """``-dE/db = x``."""
        write_weighted_sum(self.bias, x, weights)

    def write_log_partition_gradient(self, field: Tensor, mean: Tensor, weights: Tensor) -> None:
        """``dlog_partition/db = mean``."""
        write_weighted_sum(self.bias, mean, weights)

    @torch.no_grad()
    def initialise_bias(self, data_mean: Tensor) -> None:
        """``b = data_mean``."""
        self.bias.copy_(data_mean)
