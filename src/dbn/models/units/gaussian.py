"""Real units with unit variance."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from dbn.models.gradients import write_weighted_sum
from dbn.models.units.base import Units
from dbn.random.noise import normal
from dbn.random.streams import Noise


class Gaussian(Units):
    r"""Real units :math:`x \in R^n` with energy :math:`E(x) = \frac12 \sum_i (x_i - b_i)^2`: unit variance.

    Given a field :math:`f`, the units are independent: :math:`x_i \mid f \sim N(b_i + f_i, 1)`. As visible units they
    model standardised data; as hidden units they are the linear code layer of Hinton & Salakhutdinov (2006). The energy
    of an RBM with Gaussian units on both sides is bounded below only while the largest singular value of ``W`` is under
    one.

    Args:
        shape: number of units ``n``, or their shape.

    References:
        Welling, Rosen-Zvi & Hinton (2005); Hinton (2012), section 13.2; Hinton & Salakhutdinov (2006), Science 313:504.
    """

    kind: ClassVar[str] = "gaussian"
    activation = "identity"
    interval: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    def energy(self, x: Tensor) -> Tensor:
        """Energy of states ``x`` ``(batch, n)``; returns ``(batch,)`` in nats."""
        return 0.5 * (x - self.bias).square().sum(-1)

    def log_partition(self, field: Tensor) -> Tensor:
        """``log integral exp(-E(x) + field . x) dx``; ``field`` ``(batch, n)`` -> ``(batch,)`` in nats."""
        return (field * (self.bias + 0.5 * field)).sum(-1) + 0.5 * self.size * math.log(2 * math.pi)

    def mean(self, field: Tensor, out: Tensor | None = None) -> Tensor:
        """``E[x | field]``, ``(batch, n)``."""
        return torch.add(field, self.bias, out=out)

    def mean_slope(self, mean: Tensor) -> Tensor:
        """One."""
        return torch.ones_like(mean)

    def sample(
        self, field: Tensor, generator: Noise = None, out: Tensor | None = None, mean: Tensor | None = None
    ) -> Tensor:
        """``mean(field)`` ``(batch, n)`` plus standard normal noise."""
        mean = self.mean(field, out) if mean is None else mean
        return torch.add(mean, normal(mean, generator), out=out)

    def write_minus_energy_gradient(self, x: Tensor, weights: Tensor) -> None:
        """``-dE/db = x - b``: the biases cancel."""
        write_weighted_sum(self.bias, x, weights)

    def write_log_partition_gradient(self, field: Tensor, mean: Tensor, weights: Tensor) -> None:
        """``dlog_partition/db = field``."""
        write_weighted_sum(self.bias, field, weights)

    @torch.no_grad()
    def initialise_bias(self, data_mean: Tensor) -> None:
        """``b = data_mean``."""
        self.bias.copy_(data_mean)
