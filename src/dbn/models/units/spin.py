"""Units that are -1 or 1."""

from typing import ClassVar

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.models.gradients import write_weighted_sum
from dbn.models.units.base import Units
from dbn.models.units.bernoulli import MAX_ENUMERABLE
from dbn.random.noise import bernoulli
from dbn.random.streams import Noise


class Spin(Units):
    r"""Ising spins :math:`x \in \{-1, 1\}^n` with energy :math:`E(x) = -\sum_i b_i x_i`.

    Given a field :math:`f`, the units are independent: :math:`p(x_i = 1 \mid f) = \sigma(2 (b_i + f_i))`, with mean
    :math:`\tanh(b_i + f_i)`, so that a stack of such units unrolls into a network of hyperbolic tangents. With spins on
    both sides, an RBM is a bipartite Ising model: the same distributions as with binary units, :math:`x = 2 s - 1`, but
    parameters in which turning a unit over is a change of sign, and nothing needs centring where both values are as
    frequent.

    As visible units they take values from -1 to 1; images from 0 to 1 are ``2 * images - 1``.

    Args:
        shape: number of units ``n``, or their shape.

    References:
        Smolensky (1986), *Information processing in dynamical systems*, whose harmonium has such units below; Tubiana,
        Cocco & Monasson (2019), *Learning protein constitutive motifs from sequence data*, eLife 8:e39397.
    """

    kind: ClassVar[str] = "spin"
    activation = "tanh"
    interval: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    def energy(self, x: Tensor) -> Tensor:
        """Energy of states ``x`` ``(batch, n)``; returns ``(batch,)`` in nats."""
        return -(x @ self.bias)

    def log_partition(self, field: Tensor) -> Tensor:
        """``log sum_x exp(-E(x) + field . x)``; ``field`` ``(batch, n)`` -> ``(batch,)`` in nats."""
        a = (field + self.bias).abs()
        return (a + (-2 * a).exp().log1p()).sum(-1)  # log 2 cosh a, without overflow

    def mean(self, field: Tensor, out: Tensor | None = None) -> Tensor:
        """``E[x | field]``, ``(batch, n)``."""
        return torch.add(field, self.bias, out=out).tanh_()

    def mean_slope(self, mean: Tensor) -> Tensor:
        """``1 - m^2``."""
        return 1 - mean.square()

    def sample(
        self, field: Tensor, generator: Noise = None, out: Tensor | None = None, mean: Tensor | None = None
    ) -> Tensor:
        """Minus ones and ones of the field's dtype, a one with probability ``(1 + mean) / 2``; ``(batch, n)``."""
        mean = self.mean(field, out) if mean is None else mean
        probability = torch.add(mean, 1.0, out=out).mul_(0.5)
        return bernoulli(probability, generator, probability).mul_(2).sub_(1)

    def write_minus_energy_gradient(self, x: Tensor, weights: Tensor) -> None:
        """``-dE/db = x``."""
        write_weighted_sum(self.bias, x, weights)

    def write_log_partition_gradient(self, field: Tensor, mean: Tensor, weights: Tensor) -> None:
        """``dlog_partition/db = mean``."""
        write_weighted_sum(self.bias, mean, weights)

    def states(self) -> Tensor:
        """All ``2^n`` states, ``(2^n, n)``, in counting order, minus one before one.

        Raises:
            SettingError: more than 2^20 states.
        """
        if self.size > MAX_ENUMERABLE:
            raise SettingError(
                f"{self.size} spins have 2^{self.size} states: enumeration stops at {MAX_ENUMERABLE} units."
            )
        bits = torch.arange(self.size - 1, -1, -1, device=self.bias.device)
        codes = torch.arange(2**self.size, device=self.bias.device)
        return (codes[:, None] >> bits & 1).to(self.bias.dtype) * 2 - 1

    @torch.no_grad()
    def initialise_bias(self, data_mean: Tensor) -> None:
        """``b = artanh(data_mean)``, with means clipped to [-0.998, 0.998] so that biases are finite."""
        self.bias.copy_(torch.atanh(data_mean.clamp(-0.998, 0.998)))
