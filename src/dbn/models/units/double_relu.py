"""Double rectified linear units: two half-lines, each with its own bias and width."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from dbn.models.gradients import gradient_of, write_weighted_sum
from dbn.models.truncated_normal import log_integral, sample_positive, scaled_moments
from dbn.models.units.base import Units
from dbn.random.noise import uniform
from dbn.random.streams import Noise


class DoubleReLU(Units):
    r"""Real units whose positive and negative states have a bias and a width of their own.

    .. math:: E(x) = \sum_i \frac{1}{2 s_i} x_i^{+2} - b_i x_i^+ + \frac{1}{2 r_i} x_i^{-2} - c_i x_i^-

    Here :math:`x^+ = \max(x, 0)` and :math:`x^- = \min(x, 0)`; the biases :math:`b, c` and the logarithms of the widths
    :math:`s, r` are learned. Given a field, a unit's law is a mixture of two truncated normal distributions. With equal
    sides the units are Gaussian; with a large width on one side or a strongly negative bias they are nearly binary or
    rectified: unlike Gaussian hidden units they model more than pairs, unlike binary ones how strongly a feature is
    there. Means, log partitions and draws are exact, also far in the tails of either side, and computed in float64.

    They are made for hidden layers, and learn with small rates, as all real units. With real units on both sides of an
    RBM the energy must stay bounded below, see :class:`dbn.models.units.GaussianWithVariance`. A network has no such
    activation: unrolling such a stack is refused.

    Args:
        shape: number of units ``n``, or their shape.

    References:
        Tubiana, Cocco & Monasson (2019), *Learning protein constitutive motifs from sequence data*, eLife 8:e39397,
        methods, equation 5: their :math:`\gamma_\pm` are the inverse widths, their :math:`\theta_\pm` minus the biases.
    """

    kind: ClassVar[str] = "drelu"
    has_one_bias: ClassVar[bool] = False
    activation = "drelu"
    interval: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    def __init__(self, shape: int | Sequence[int]) -> None:
        super().__init__(shape)
        self.log_variance = nn.Parameter(torch.zeros(self.size))
        self.negative_bias = nn.Parameter(torch.zeros(self.size))
        self.negative_log_variance = nn.Parameter(torch.zeros(self.size))

    def energy(self, x: Tensor) -> Tensor:
        """Energy of states ``x`` ``(batch, n)``; returns ``(batch,)`` in nats."""
        up, down = x.clamp(min=0), x.clamp(max=0)
        above = 0.5 * up.square() * (-self.log_variance).exp() - self.bias * up
        below = 0.5 * down.square() * (-self.negative_log_variance).exp() - self.negative_bias * down
        return (above + below).sum(-1)

    def _sides(self, field: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Width and scaled location ``t`` of either side, turned so that it is positive, in float64."""
        field = field.double()
        width, other = (0.5 * self.log_variance.double()).exp(), (0.5 * self.negative_log_variance.double()).exp()
        return (width, width * (field + self.bias)), (other, -other * (field + self.negative_bias))

    def _log_sides(self, field: Tensor) -> tuple[Tensor, Tensor]:
        """Log integrals over either half-line, ``(batch, n)`` float64."""
        (width, t), (other, u) = self._sides(field)
        return width.log() + log_integral(t), other.log() + log_integral(u)

    def log_partition(self, field: Tensor) -> Tensor:
        """``log integral exp(-E(x) + field . x) dx``; ``field`` ``(batch, n)`` -> ``(batch,)`` in nats."""
        return torch.logaddexp(*self._log_sides(field)).sum(-1).to(field.dtype)

    def _weighted_moments(self, field: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mean and mean square of ``x`` on each side, times the probability of the side, float64."""
        above, below = self._log_sides(field)
        p = torch.sigmoid(above - below)
        (width, t), (other, u) = self._sides(field)
        (first, second), (low_first, low_second) = scaled_moments(t), scaled_moments(u)
        return (
            p * width * first, p * width.square() * second,
            -(1 - p) * other * low_first, (1 - p) * other.square() * low_second,
        )  # fmt: skip

    def mean(self, field: Tensor, out: Tensor | None = None) -> Tensor:
        """``E[x | field]``, ``(batch, n)``."""
        above, _, below, _ = self._weighted_moments(field)
        mean = (above + below).to(field.dtype)
        return mean if out is None else out.copy_(mean)

    def sample(
        self, field: Tensor, generator: Noise = None, out: Tensor | None = None, mean: Tensor | None = None
    ) -> Tensor:
        """A side, and a draw from its truncated normal law, ``(batch, n)``; ``mean`` is not used."""
        above, below = self._log_sides(field)
        (width, t), (other, u) = self._sides(field)
        is_above = uniform(field, generator) < torch.sigmoid(above - below)
        drawn = sample_positive(torch.where(is_above, t, u), uniform(field, generator).double())
        x = (torch.where(is_above, width, -other) * drawn).to(field.dtype)
        return x if out is None else out.copy_(x)

    def reconstruction(self, field: Tensor, generator: Noise = None, out: Tensor | None = None) -> Tensor:
        """A sample: widths are learned from squares of states, which means are too small for."""
        return self.sample(field, generator, out)

    def write_minus_energy_gradient(self, x: Tensor, weights: Tensor) -> None:
        """``x`` and half its square over the width, of its own side each."""
        for side, bias, log_variance in self._parameters_of_sides():
            own = x.clamp(min=0) if side > 0 else x.clamp(max=0)
            write_weighted_sum(bias, own, weights)
            write_weighted_sum(log_variance, own.square(), weights)
            gradient_of(log_variance).mul_(0.5 * (-log_variance).exp())

    def write_log_partition_gradient(self, field: Tensor, mean: Tensor, weights: Tensor) -> None:
        """The means of what :meth:`write_minus_energy_gradient` takes of states."""
        above, above_square, below, below_square = (own.to(weights) for own in self._weighted_moments(field))
        moments = ((above, above_square), (below, below_square))
        for (_, bias, log_variance), (first, second) in zip(self._parameters_of_sides(), moments, strict=True):
            write_weighted_sum(bias, first, weights)
            write_weighted_sum(log_variance, second, weights)
            gradient_of(log_variance).mul_(0.5 * (-log_variance).exp())

    def add_field_gradient(self, field: Tensor) -> None:
        """A field moves both biases, see :meth:`Units.add_field_gradient`."""
        for _, bias, _ in self._parameters_of_sides():
            gradient_of(bias).add_(field.view_as(bias))

    def _parameters_of_sides(self) -> tuple[tuple[int, nn.Parameter, nn.Parameter], ...]:
        return (1, self.bias, self.log_variance), (-1, self.negative_bias, self.negative_log_variance)

    @torch.no_grad()
    def initialise_bias(self, data_mean: Tensor) -> None:
        """``data_mean`` for both biases, which is the mean while the widths are 1, as at the start."""
        self.bias.copy_(data_mean)
        self.negative_bias.copy_(data_mean)
