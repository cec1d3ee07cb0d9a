"""Binary units."""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from dbn.errors import SettingError
from dbn.models.gradients import write_weighted_sum
from dbn.models.units.base import Units
from dbn.random.noise import bernoulli
from dbn.random.streams import Noise

MAX_ENUMERABLE = 20


class Bernoulli(Units):
    r"""Binary units :math:`x \in \{0, 1\}^n` with energy :math:`E(x) = -\sum_i b_i x_i`.

    Given a field :math:`f`, the units are independent: :math:`p(x_i = 1 \mid f) = \sigma(b_i + f_i)`.

    Args:
        shape: number of units ``n``, or their shape.

    References:
        Hinton (2012), *A Practical Guide to Training Restricted Boltzmann Machines*, section 2.
    """

    kind: ClassVar[str] = "bernoulli"
    activation = "sigmoid"
    interval: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def energy(self, x: Tensor) -> Tensor:
        """Energy of states ``x`` ``(batch, n)``; returns ``(batch,)`` in nats."""
        return -(x @ self.bias)

    def log_partition(self, field: Tensor) -> Tensor:
        """``log sum_x exp(-E(x) + field . x)``; ``field`` ``(batch, n)`` -> ``(batch,)`` in nats."""
        return F.softplus(field + self.bias).sum(-1)  # softplus, not log(1 + exp): no overflow, no NaN gradient

    def mean(self, field: Tensor, out: Tensor | None = None) -> Tensor:
        """``E[x | field]``, ``(batch, n)``."""
        return torch.add(field, self.bias, out=out).sigmoid_()

    def mean_slope(self, mean: Tensor) -> Tensor:
        """``m (1 - m)``."""
        return mean * (1 - mean)

    def sample(
        self, field: Tensor, generator: Noise = None, out: Tensor | None = None, mean: Tensor | None = None
    ) -> Tensor:
        """Zeros and ones of the field's dtype, with probability ``mean(field)`` of a one; ``(batch, n)``."""
        return bernoulli(self.mean(field, out) if mean is None else mean, generator, out)

    def write_minus_energy_gradient(self, x: Tensor, weights: Tensor) -> None:
        """``-dE/db = x``."""
        write_weighted_sum(self.bias, x, weights)

    def write_log_partition_gradient(self, field: Tensor, mean: Tensor, weights: Tensor) -> None:
        """``dlog_partition/db = mean``."""
        write_weighted_sum(self.bias, mean, weights)

    def states(self) -> Tensor:
        """All ``2^n`` states, ``(2^n, n)``, in counting order (the first unit is the most significant bit).

        Raises:
            SettingError: more than 2^20 states.
        """
        if self.size > MAX_ENUMERABLE:
            raise SettingError(
                f"{self.size} binary units have 2^{self.size} states: enumeration stops at {MAX_ENUMERABLE} units."
            )
        bits = torch.arange(self.size - 1, -1, -1, device=self.bias.device)
        codes = torch.arange(2**self.size, device=self.bias.device)
        return (codes[:, None] >> bits & 1).to(self.bias.dtype)

    @torch.no_grad()
    def initialise_bias(self, data_mean: Tensor) -> None:
        """``b = logit(data_mean)``, with means clipped to [1/1000, 999/1000] so that biases are finite."""
        self.bias.copy_(torch.logit(data_mean, eps=1e-3))
