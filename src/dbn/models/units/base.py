"""The interface of unit types."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy, deepcopy
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dbn.errors import SettingError
from dbn.models.gradients import gradient_of
from dbn.models.pooling import Pooling
from dbn.models.registry import Registered
from dbn.random.streams import Noise


def checked_shape(name: str, shape: int | Sequence[int]) -> tuple[int, ...]:
    """Shape of units of type ``name``.

    Raises:
        SettingError: ``shape`` is neither a positive whole number nor a list of such numbers.
    """
    sizes = tuple(shape) if isinstance(shape, (list, tuple)) else (shape,)
    if not sizes or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in sizes):
        raise SettingError(f"{name}({shape!r}): the number of units must be a whole number from 1.")
    return sizes


class Units(Registered, nn.Module, ABC):
    r"""A layer of units that are independent given their field (an exponential family).

    A layer has an energy :math:`E(x)` and receives a field :math:`f` from the other layer, so that
    :math:`p(x \mid f) \propto \exp(-E(x) + f \cdot x)`. For any pair of unit types, all quantities of an RBM follow
    from the methods below (Welling, Rosen-Zvi & Hinton 2005, *Exponential family harmoniums*).

    A user-defined type subclasses this class and sets ``kind``, see :class:`dbn.models.registry.Registered`.

    Args:
        shape: number of units ``n``, or their shape, such as (maps, height, width). States and fields are flat,
            ``(batch, n)``, for any shape.

    Raises:
        SettingError: ``shape`` is neither a positive whole number nor a list of such numbers.
    """

    registry: ClassVar[dict[str, type[Any]]] = {}

    activation: str | Mapping[str, Any]
    """Activation from ``field + bias`` to the mean: kind, or kind and options, see :mod:`dbn.models.activations`."""
    normalised: ClassVar[bool] = True
    """Whether :meth:`log_partition` is the log of a sum or integral over the states, so that likelihoods exist."""

    interval: ClassVar[tuple[float, float]]
    """Smallest and largest value of a unit; means are allowed as values."""

    positions: int = 1
    """Units that share each parameter."""
    scales_hidden_bias: ClassVar[bool] = False
    """Whether, as visible units, they say how often the hidden units' bias counts, see :meth:`hidden_bias_scale`."""
    has_one_bias: ClassVar[bool] = True
    """Whether :attr:`bias`, a number for each unit, is all that is added to their field, so that it can be scaled."""
    pooling: Pooling | None = None
    """What the layer above sees of the units, one output for each block; None: all of them."""

    bias: nn.Parameter

    def __init__(self, shape: int | Sequence[int]) -> None:
        super().__init__()
        self.shape: tuple[int, ...] = checked_shape(type(self).__name__, shape)
        self.size: int = math.prod(self.shape)
        self.bias = nn.Parameter(torch.zeros(self.size))

    @property
    def value_type(self) -> Any:
        """Type of what the layer above sees, which its visible units must have."""
        return self.spec()

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of what the layer above sees."""
        return self.shape if self.pooling is None else self.pooling.output_shape

    def outputs(self, field: Tensor) -> Tensor:
        """What the layer above sees, at its mean: ``(batch, n)`` -> ``(batch, n_outputs)``."""
        return self.mean(field)

    def spread(self, outputs: Tensor) -> Tensor:
        """Means of the units, from what the layer above sees: ``(batch, n_outputs)`` -> ``(batch, n)``."""
        return outputs

    def states_above(self, x: Tensor) -> Tensor:
        """States of what the layer above sees, given those of the units: ``(batch, n)`` -> ``(batch, n_outputs)``."""
        return x

    def states_below(self, outputs: Tensor, generator: Noise = None) -> Tensor:
        """States of the units, given states of what the layer above sees, of the same shapes as :meth:`spread`."""
        return self.spread(outputs)

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
            out: destination; may be ``field`` itself.
        """

    def gain(self) -> Tensor | None:
        """Factors ``(n,)`` of the field in a unit's mean, ``activation(gain * field + bias)``; None: 1 for all."""
        return None

    def hidden_bias_scale(self, x: Tensor | None = None) -> Tensor | None:
        """How often the hidden units' bias counts beside visible states ``x`` ``(batch, n)``; None: once.

        Returns:
            ``(batch, 1)``; without ``x``, what it is beside all states that the units can have.
        """
        return None

    def given(self, x: Tensor) -> "Units":
        """The units as they are sampled from states ``x`` ``(batch, n)`` on: as ever, unless a total of these stays."""
        return self

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Smallest and largest value of every unit, ``(n,)`` each; see :attr:`interval`."""
        low, high = (torch.full((self.size,), end) for end in self.interval)
        return low, high

    def mean_slope(self, mean: Tensor) -> Tensor:
        """Derivative of the mean with respect to the field where the mean is ``mean``, ``(batch, n)``.

        Raises:
            SettingError: this type does not define it; only backpropagation through a layer's units needs it.
        """
        raise SettingError(
            f"{self.kind} units do not say how their mean follows their field: autoencoders cannot be trained of them. "
            "Define mean_slope, or use method=rbm."
        )

    @abstractmethod
    def sample(
        self, field: Tensor, generator: Noise = None, out: Tensor | None = None, mean: Tensor | None = None
    ) -> Tensor:
        """Sample of ``x | field``, ``(batch, n)``.

        Args:
            field: ``(batch, n)``.
            generator: source of randomness (default: torch's global one).
            out: destination; may be ``field`` itself.
            mean: ``mean(field)`` if it was computed before, to save computing it again.
        """

    def mean_and_sample(self, field: Tensor, generator: Noise, mean: Tensor, out: Tensor) -> None:
        """Write ``mean(field)`` into ``mean`` and a sample of ``x | field`` into ``out``, both ``(batch, n)``."""
        self.sample(field, generator, out=out, mean=self.mean(field, out=mean))

    def reconstruction(self, field: Tensor, generator: Noise = None, out: Tensor | None = None) -> Tensor:
        """The units at the end of a short chain, ``(batch, n)``: their mean, which has no sampling noise.

        That is enough where the energy is linear in the states but for terms without parameters. Types whose parameters
        depend on more of the states, such as a variance, return a sample (Hinton 2012, section 3).

        Args:
            field: ``(batch, n)``.
            generator: source of randomness (default: torch's global one).
            out: destination; may be ``field`` itself.
        """
        return self.mean(field, out)

    @abstractmethod
    def write_minus_energy_gradient(self, x: Tensor, weights: Tensor) -> None:
        """Write the sum over states of ``weight * -dE(x)/dparameter`` into each ``grad``.

        Args:
            x: states ``(states, n)``, in a group ``(phases, members, batch, n)``.
            weights: of the states, ``(states,)`` or ``(phases, members, batch)``; they sum to zero.
        """

    @abstractmethod
    def write_log_partition_gradient(self, field: Tensor, mean: Tensor, weights: Tensor) -> None:
        """Write the sum over fields of ``weight * dlog_partition/dparameter`` into each ``grad``.

        Args:
            field: ``(states, n)``, in a group ``(phases, members, batch, n)``.
            mean: ``mean(field)``, of the same shape.
            weights: of the fields, ``(states,)`` or ``(phases, members, batch)``; they sum to zero.
        """

    def add_field_gradient(self, field: Tensor) -> None:
        """Add to the bias's ``grad`` the bias that moves means as ``field`` does: ``gain * field``.

        Args:
            field: ``(1, n)``, in a group ``(members, 1, n)``.
        """
        gain = self.gain()
        gradient_of(self.bias).add_((field if gain is None else field * gain).view_as(self.bias))

    @classmethod
    def check_options(cls, key: str, options: Mapping[str, Any]) -> None:
        """Check what can be checked of options before the number of units is known.

        Args:
            key: of the setting that gives the type, for messages.
            options: that are given.

        Raises:
            SettingError: an option is invalid.
        """

    @abstractmethod
    def initialise_bias(self, data_mean: Tensor) -> None:
        """Set the bias so that, without a field, the mean is ``data_mean`` ``(n,)`` (Hinton 2012, section 8.1)."""

    @property
    def learns_variance(self) -> bool:
        """Whether there is a variance for :meth:`initialise_variance`."""
        return False

    def initialise_variance(self, data_mean: Tensor, data_variance: Tensor) -> None:
        """Set what is learned of the units' variances to those of data, without a field.

        Args:
            data_mean: ``(n,)``.
            data_variance: ``(n,)``.

        Raises:
            SettingError: the units do not learn a variance.
        """
        raise SettingError(f"{self.kind} units have no variance that is learned.")

    def states(self) -> Tensor:
        """All states of the layer, ``(number of states, n)``, for exact sums.

        Raises:
            SettingError: there are infinitely many states, or too many to enumerate.
        """
        raise SettingError(f"{self.kind} units have infinitely many states: they cannot be enumerated.")

    def matches(self, other: "Units") -> bool:
        """Whether the other layer has units of the same type, options and number."""
        return (self.spec(), self.size) == (other.spec(), other.size)

    def __str__(self) -> str:
        """Number and type, as in ``500 bernoulli``."""
        return f"{self.size} {self.kind}"

    @classmethod
    def group(cls, members: Sequence[Any]) -> "Units":
        """Units of a group: parameters ``(members, 1, n)``, copies of those of ``members``."""
        group: Units = deepcopy(members[0])
        for name in dict(group.named_parameters()):
            own = [units.get_parameter(name).detach() for units in members]
            setattr(group, name, nn.Parameter(torch.stack(own).unsqueeze(1)))
        return group

    def member(self, number: int) -> "Units":
        """Units of member ``number`` of a group, whose parameters are views of the group's."""
        member = copy(self)
        member._parameters = {
            name: None if parameter is None else nn.Parameter(parameter.detach()[number, 0])
            for name, parameter in self._parameters.items()
        }
        return member

    def extra_repr(self) -> str:
        """Shape and options, for ``print(rbm)``."""
        shape = str(self.size if len(self.shape) == 1 else self.shape)
        return ", ".join([shape, *(f"{name}={getattr(self, name)}" for name in self.options)])
