"""Counts of successes in a number of trials, which is the same for all units."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from dbn.errors import SettingError
from dbn.models.gradients import write_weighted_sum
from dbn.models.units.base import Units
from dbn.models.units.bernoulli import MAX_ENUMERABLE
from dbn.random.noise import bernoulli
from dbn.random.streams import Noise
from dbn.settings import check_number


class Binomial(Units):
    r"""Counts :math:`x \in \{0, \dots, N\}^n` with energy :math:`E(x) = -\sum_i b_i x_i + \log \binom{N}{x_i}`.

    Given a field :math:`f`, the units are independent and binomial: :math:`x_i` successes in ``N`` trials, each with
    probability :math:`\sigma(b_i + f_i)`. A unit is the sum of ``N`` binary ones that share their bias and weights: as
    a rate code of Teh and Hinton, it has a mean of ``N`` times the logistic function, and less noise than a single one.
    The other layer's fields grow with ``N``, so that learning rates and starting weights should be smaller than with
    binary units.

    Args:
        shape: number of units ``n``, or their shape.
        trials: ``N``, from 1.

    Raises:
        SettingError: ``trials`` is not a whole number from 1.

    References:
        Teh & Hinton (2001), *Rate-coded restricted Boltzmann machines for face recognition*, NIPS 13, section 3.
    """

    kind: ClassVar[str] = "binomial"
    options: ClassVar[tuple[str, ...]] = ("trials",)
    interval: ClassVar[tuple[float, float]] = (0.0, math.inf)
    """Of an instance, up to ``trials``."""

    def __init__(self, shape: int | Sequence[int], trials: int = 8) -> None:
        super().__init__(shape)
        check_number("trials", trials, low=1, whole=True)
        self.trials = trials
        self.interval = (0.0, float(trials))  # type: ignore[misc]  # of an instance
        self.activation: Mapping[str, Any] = {"kind": "binomial", "trials": trials}

    @classmethod
    def check_options(cls, key: str, options: Mapping[str, Any]) -> None:
        """``trials``."""
        if "trials" in options:
            check_number(f"{key}.trials", options["trials"], low=1, whole=True)

    def energy(self, x: Tensor) -> Tensor:
        """Energy of counts, or of their means, ``x`` ``(batch, n)``; returns ``(batch,)`` in nats."""
        choices = math.lgamma(self.trials + 1) - torch.lgamma(x + 1) - torch.lgamma(self.trials - x + 1)
        return -(x @ self.bias) - choices.sum(-1)

    def log_partition(self, field: Tensor) -> Tensor:
        """``log sum_x exp(-E(x) + field . x)``; ``field`` ``(batch, n)`` -> ``(batch,)`` in nats."""
        return self.trials * F.softplus(field + self.bias).sum(-1)

    def mean(self, field: Tensor, out: Tensor | None = None) -> Tensor:
        """``E[x | field]``, ``(batch, n)``."""
        return torch.mul(torch.add(field, self.bias, out=out).sigmoid_(), self.trials, out=out)

    def mean_slope(self, mean: Tensor) -> Tensor:
        """``m (1 - m / N)``."""
        return mean * (1 - mean / self.trials)

    def sample(
        self, field: Tensor, generator: Noise = None, out: Tensor | None = None, mean: Tensor | None = None
    ) -> Tensor:
        """Counts of the field's dtype, ``(batch, n)``: sums of ``N`` binary draws each."""
        probability = (self.mean(field) if mean is None else mean) / self.trials
        total = bernoulli(probability, generator)
        for _ in range(self.trials - 1):
            total.add_(bernoulli(probability, generator))
        return total if out is None else out.copy_(total)

    def write_minus_energy_gradient(self, x: Tensor, weights: Tensor) -> None:
        """``-dE/db = x``."""
        write_weighted_sum(self.bias, x, weights)

    def write_log_partition_gradient(self, field: Tensor, mean: Tensor, weights: Tensor) -> None:
        """``dlog_partition/db = mean``."""
        write_weighted_sum(self.bias, mean, weights)

    def states(self) -> Tensor:
        """All ``(N + 1)^n`` states, in counting order (the first unit moves last).

        Raises:
            SettingError: more than 2^20 states.
        """
        if (self.trials + 1) ** self.size > 2**MAX_ENUMERABLE:
            raise SettingError(
                f"{self} units of {self.trials} trials have {self.trials + 1}^{self.size} states: enumeration stops at "
                f"2^{MAX_ENUMERABLE}."
            )
        counts = torch.arange(self.trials + 1, device=self.bias.device).to(self.bias.dtype)
        return torch.cartesian_prod(*[counts] * self.size).view(-1, self.size)

    @torch.no_grad()
    def initialise_bias(self, data_mean: Tensor) -> None:
        """``b = logit(data_mean / N)``, with rates clipped to [1/1000, 999/1000] so that biases are finite."""
        self.bias.copy_(torch.logit(data_mean / self.trials, eps=1e-3))
