"""What every unit type answers: the contract between a layer of units and the RBM it belongs to."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from dbn.errors import SettingError
from dbn.streams import Noise


class Units(nn.Module, ABC):
    r"""A layer of units, independent of each other given a field (an exponential family).

    A layer has an energy of its own, :math:`E(x)`, and receives a field :math:`f` from the layer at the other side, so
    that :math:`p(x \mid f) \propto \exp(-E(x) + f \cdot x)`. Everything an RBM computes follows from the methods below
    for any pair of unit types (Welling, Rosen-Zvi & Hinton 2005, *Exponential family harmoniums*).

    Args:
        size: number of units ``n``.

    Raises:
        SettingError: ``size`` is not a positive whole number.
    """

    kind: ClassVar[str]
    """Name in configurations and DBN files."""
    activation: ClassVar[str]
    """Name of ``field + bias -> mean`` as an activation of a feed-forward network."""
    normalised: ClassVar[bool] = True
    """Whether :meth:`log_partition` is that of a sum or integral over the states, so that likelihoods exist."""

    interval: ClassVar[tuple[float, float]]
    """The smallest and the largest value that a unit can have; the means of units in between count as values, too."""

    bias: nn.Parameter

    def __init__(self, size: int) -> None:
        super().__init__()
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise SettingError(f"{type(self).__name__}({size!r}): the number of units must be a whole number from 1.")
        self.size = size
        self.bias = nn.Parameter(torch.zeros(size))

    @abstractmethod
    def energy(self, x: Tensor) -> Tensor:
        """Energy of states ``x`` ``(batch, n)``; returns ``(batch,)`` in nats."""

    @abstractmethod
    def log_partition(self, field: Tensor) -> Tensor:
        """``log sum_x exp(-E(x) + field . x)`` (an integral for real units); ``(batch, n)`` -> ``(batch,)`` in nats."""

    @abstractmethod
    def mean(self, field: Tensor, out: Tensor | None = None) -> Tensor:
        """``E[x | field]``, ``(batch, n)``: the gradient of the log partition with respect to the field.

        Args:
            field: ``(batch, n)``.
            out: where to write; may be ``field`` itself.
        """

    @abstractmethod
    def sample(
        self, field: Tensor, generator: Noise = None, out: Tensor | None = None, mean: Tensor | None = None
    ) -> Tensor:
        """One draw of ``x | field``, ``(batch, n)``.

        Args:
            field: ``(batch, n)``.
            generator: source of randomness (default: torch's global one).
            out: where to write; may be ``field`` itself.
            mean: ``mean(field)`` where it is known already: one evaluation serves statistics and draw.
        """

    @abstractmethod
    def write_minus_energy_gradient(self, x: Tensor, weights: Tensor) -> None:
        """Write the sum over states of ``weight * -dE(x)/dparameter`` into each ``grad``.

        Args:
            x: states ``(states, n)``, of a group ``(phases, members, batch, n)``.
            weights: of each state, ``(states,)`` or ``(phases, members, batch)``; they add up to zero.
        """

    @abstractmethod
    def write_log_partition_gradient(self, field: Tensor, mean: Tensor, weights: Tensor) -> None:
        """Write the sum over fields of ``weight * dlog_partition/dparameter`` into each ``grad``.

        Args:
            field: ``(states, n)``, of a group ``(phases, members, batch, n)``.
            mean: ``mean(field)``, of the same shape.
            weights: of each field, ``(states,)`` or ``(phases, members, batch)``; they add up to zero.
        """

    @abstractmethod
    def initialise_bias(self, data_mean: Tensor) -> None:
        """Set the bias so that, without a field, the mean is ``data_mean`` ``(n,)`` (Hinton 2012, section 8.1)."""

    def states(self) -> Tensor:
        """Every state of the layer, ``(number of states, n)``: for exact sums over layers small enough.

        Raises:
            SettingError: the units have infinitely many states, or more than fit.
        """
        raise SettingError(f"{self.kind} units have infinitely many states: they cannot be enumerated.")

    def extra_repr(self) -> str:
        """The size, for ``print(rbm)``."""
        return str(self.size)


def write_weighted_sum(parameter: nn.Parameter, x: Tensor, weights: Tensor) -> None:
    """``parameter.grad = weights @ x``, for ``x`` ``(states, n)`` and ``weights`` ``(states,)``.

    In a group of models that train together the parameter is ``(members, 1, n)``, ``x`` ``(phases, members, batch, n)``
    and ``weights`` ``(phases, members, batch)``.
    """
    if weights.dim() == 1:
        torch.mv(x.T, weights, out=gradient_of(parameter))
    else:
        torch.sum(weights.unsqueeze(-2) @ x, 0, out=gradient_of(parameter))


def gradient_of(parameter: nn.Parameter) -> Tensor:
    """The parameter's ``grad``, made (zero) if there is none yet."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad
