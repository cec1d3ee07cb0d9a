"""Real units with a variance of their own, which is learned."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from dbn.models.gradients import gradient_of, write_weighted_sum
from dbn.models.units.base import Units
from dbn.random.noise import normal
from dbn.random.streams import Noise
from dbn.settings import check_number


class GaussianWithVariance(Units):
    r"""Real units :math:`x \in R^n` of learned variance, with energy :math:`E(x) = \sum_i (x_i - b_i)^2 / 2\sigma_i^2`.

    Given a field :math:`f`, the units are independent: :math:`x_i \mid f \sim N(b_i + \sigma_i^2 f_i, \sigma_i^2)`. The
    parameter is the logarithm :math:`z_i` of what the variance is above a floor, :math:`\sigma_i^2 = \sigma_{min}^2 +
    e^{z_i}`: a likelihood without a floor has no maximum where a value repeats, and one that is reached smoothly always
    has a gradient. All variances start at 1, that of standardised data.

    The interaction is :math:`-v^T W h`, as for all units, not :math:`-v^T \Sigma^{-1} W h` as in Cho, Ilin & Raiko
    (2011) and Melchior, Wang & Wiskott (2017): their models are the same distributions, with :math:`\Sigma W` for their
    :math:`W`. Here the energy stays of the exponential family, field by state, and the gradient of the weights does not
    grow as variances shrink, which is why theirs need small learning rates. As theirs, the variance is learned by its
    logarithm. With real units on both sides of an RBM the energy is bounded below only while the largest singular value
    of :math:`\Sigma_v^{1/2} W \Sigma_h^{1/2}` is under one.

    Args:
        shape: number of units ``n``, or their shape.
        floor: smallest variance, in (0, 1).

    Raises:
        SettingError: ``floor`` is out of range.

    Example:
        >>> import torch
        >>> from dbn import RBM, Bernoulli
        >>> from dbn.models.units import GaussianWithVariance
        >>> rbm = RBM(GaussianWithVariance(5), Bernoulli(3))
        >>> rbm.visible.variance
        tensor([1., 1., 1., 1., 1.], grad_fn=<AddBackward0>)

    References:
        Cho, Ilin & Raiko (2011), *Improved learning of Gaussian-Bernoulli restricted Boltzmann machines*, ICANN,
        section 3; Melchior, Wang & Wiskott (2017), *Gaussian-binary restricted Boltzmann machines for modeling natural
        image statistics*, PLoS ONE 12:e0171015; Welling, Rosen-Zvi & Hinton (2005).
    """

    kind: ClassVar[str] = "gaussian_with_variance"
    options: ClassVar[tuple[str, ...]] = ("floor",)
    activation = "identity"
    interval: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    def __init__(self, shape: int | Sequence[int], floor: float = 0.01) -> None:
        super().__init__(shape)
        check_number("floor", floor, low=0, high=1, above=True, below=True)
        self.floor = floor
        self.log_variance = nn.Parameter(torch.full((self.size,), math.log(1 - floor)))

    @property
    def variance(self) -> Tensor:
        """Variances ``(n,)``; in a group ``(members, 1, n)``."""
        return self.log_variance.exp() + self.floor

    def gain(self) -> Tensor:
        """The variance: a unit's mean is ``gain * field + bias``."""
        return self.variance

    def energy(self, x: Tensor) -> Tensor:
        """Energy of states ``x`` ``(batch, n)``; returns ``(batch,)`` in nats."""
        return 0.5 * ((x - self.bias).square() / self.variance).sum(-1)

    def log_partition(self, field: Tensor) -> Tensor:
        """``log integral exp(-E(x) + field . x) dx``; ``field`` ``(batch, n)`` -> ``(batch,)`` in nats."""
        variance = self.variance
        in_field = (field * (self.bias + 0.5 * variance * field)).sum(-1)
        return in_field + 0.5 * (2 * math.pi * variance).log().sum(-1)

    def mean(self, field: Tensor, out: Tensor | None = None) -> Tensor:
        """``b + variance * field``, ``(batch, n)``."""
        return torch.mul(field, self.variance, out=out).add_(self.bias)

    def sample(
        self, field: Tensor, generator: Noise = None, out: Tensor | None = None, mean: Tensor | None = None
    ) -> Tensor:
        """``mean(field)`` ``(batch, n)`` plus normal noise of the units' variances."""
        mean = self.mean(field, out) if mean is None else mean
        return torch.add(mean, normal(mean, generator).mul_(self.variance.sqrt()), out=out)

    def reconstruction(self, field: Tensor, generator: Noise = None, out: Tensor | None = None) -> Tensor:
        """A sample: variances are learned from squares of states, which means are too small for."""
        return self.sample(field, generator, out)

    def write_minus_energy_gradient(self, x: Tensor, weights: Tensor) -> None:
        """``-dE/db = (x - b) / variance``, where ``b`` cancels, and ``-dE/dz = (x - b)^2 e^z / (2 variance^2)``."""
        variance = self.variance
        write_weighted_sum(self.bias, x, weights)
        gradient_of(self.bias).div_(variance)
        write_weighted_sum(self.log_variance, (x - self.bias).square_(), weights)
        gradient_of(self.log_variance).mul_(0.5 * self.log_variance.exp() / variance.square())

    def write_log_partition_gradient(self, field: Tensor, mean: Tensor, weights: Tensor) -> None:
        """``dlog_partition/db = field``, and ``field^2 e^z / 2`` of the log-variance: its constant part cancels."""
        write_weighted_sum(self.bias, field, weights)
        write_weighted_sum(self.log_variance, field.square(), weights)
        gradient_of(self.log_variance).mul_(0.5 * self.log_variance.exp())

    @torch.no_grad()
    def initialise_bias(self, data_mean: Tensor) -> None:
        """``b = data_mean``."""
        self.bias.copy_(data_mean)

    @property
    def learns_variance(self) -> bool:
        """Yes."""
        return True

    @torch.no_grad()
    def initialise_variance(self, data_mean: Tensor, data_variance: Tensor) -> None:
        """``log(data_variance - floor)``, of variances from twice the floor: near the floor they would hardly learn."""
        self.log_variance.copy_((data_variance.clamp(min=2 * self.floor) - self.floor).log())
