"""Units of feature maps, which share their parameters over all positions."""

import math
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from dbn.errors import SettingError
from dbn.models.activations import Activation
from dbn.models.maps import checked_maps
from dbn.models.pooling import MaxPooling, check_blocks
from dbn.models.units.base import Units
from dbn.models.units.bernoulli import MAX_ENUMERABLE
from dbn.models.units.bernoulli_with_label import BernoulliWithLabel
from dbn.random.streams import Noise


class PerMap(Units):
    r"""Units of any other type whose parameters are those of their map, at all positions.

    Energies and log partitions are sums over the positions. A state ``(batch, n)`` is, to the units of a map, ``batch *
    height * width`` states of one unit each.

    With ``pool``, the layer above sees the largest unit of each block of a map, see
    :class:`dbn.models.pooling.MaxPooling`. Downwards, what is above a block is spread evenly over its units: which of
    them was the largest is lost.

    Args:
        shape: (height, width, maps).
        units: type of the units, kind, or kind and options.
        pool: side of the blocks that the layer above sees one unit of; None: it sees all units.

    Raises:
        SettingError: the shape has no maps, the type does not exist or cannot be pooled, or blocks do not fill maps.

    Example:
        >>> import torch
        >>> from dbn.models.units import PerMap
        >>> units = PerMap((4, 4, 3), "relu", pool=2)
        >>> units.bias.shape, units.outputs(torch.zeros(5, 48)).shape
        (torch.Size([3]), torch.Size([5, 12]))
    """

    kind: ClassVar[str] = "per_map"
    has_one_bias: ClassVar[bool] = False
    options: ClassVar[tuple[str, ...]] = ("units", "pool")

    def __init__(
        self, shape: int | Sequence[int], units: str | Mapping[str, Any] = "bernoulli", pool: int | None = None
    ) -> None:
        sizes = checked_maps("per_map", shape, maps_first=False)
        nn.Module.__init__(self)  # not that of Units: the units of a position have the biases
        self.shape = sizes
        self.size = torch.Size(sizes).numel()
        self.positions = sizes[0] * sizes[1]
        self.own: Units = Units.create(units, "per_map.units", sizes[-1])
        if isinstance(self.own, BernoulliWithLabel):
            raise SettingError(
                f"hidden={self.own.kind}: an image has one label, and units of maps would have one at every position. "
                "Use hidden=bernoulli here, and the label in a dense layer above."
            )
        if self.own.scales_hidden_bias:
            raise SettingError(f"per_map.units={self.own.kind}: documents are no maps. Use a dense connection.")
        self.units = self.own.spec()
        self.activation = self.own.activation
        self.normalised = self.own.normalised  # type: ignore[misc]  # of an instance
        self.interval = self.own.interval  # type: ignore[misc]
        self.pool = pool
        if pool is not None:
            signed = -math.inf < self.own.interval[0] < 0  # being off is no zero, which blocks are filled up with
            if not isinstance(self.activation, str) or self.own.gain() is not None or signed:
                raise SettingError(f"pool={pool}: {self.own.kind} units cannot be pooled. Use bernoulli or relu units.")
            self.pooling = MaxPooling(sizes, pool)
            check_blocks(sizes, pool)

    @property
    def bias(self) -> Tensor:  # type: ignore[override]
        """Biases of the maps ``(maps,)``; in a group ``(members, 1, maps)``."""
        return self.own.bias

    @property
    def value_type(self) -> Any:
        """Type of the units of a map."""
        return self.own.value_type

    def _by_position(self, x: Tensor) -> Tensor:
        """States of a map's units, a view if possible: ``(..., batch, n)`` -> ``(..., batch * positions, maps)``."""
        return x.reshape(*x.shape[:-2], -1, self.shape[-1])

    def _written(self, out: Tensor | None) -> Tensor | None:
        """Where the units of a map write into ``out``: always a view."""
        return None if out is None else out.view(*out.shape[:-2], -1, self.shape[-1])

    def _per_state(self, values: Tensor, batch: Sequence[int]) -> Tensor:
        """Sums over positions: ``(..., batch * positions)`` -> ``(..., batch)``."""
        return values.reshape(*batch, -1).sum(-1)

    def _weights(self, weights: Tensor) -> Tensor:
        """Weights of states, at every position: ``(..., batch)`` -> ``(..., batch * positions)``."""
        return weights.unsqueeze(-1).expand(*weights.shape, self.positions).flatten(-2)

    def energy(self, x: Tensor) -> Tensor:
        """Energy of states ``x`` ``(batch, n)``; returns ``(batch,)`` in nats."""
        return self._per_state(self.own.energy(self._by_position(x)), x.shape[:-1])

    def log_partition(self, field: Tensor) -> Tensor:
        """Sum of those of all positions; ``field`` ``(batch, n)`` -> ``(batch,)`` in nats."""
        return self._per_state(self.own.log_partition(self._by_position(field)), field.shape[:-1])

    def mean(self, field: Tensor, out: Tensor | None = None) -> Tensor:
        """``E[x | field]``, ``(batch, n)``."""
        return self.own.mean(self._by_position(field), self._written(out)).reshape(field.shape)

    def sample(
        self, field: Tensor, generator: Noise = None, out: Tensor | None = None, mean: Tensor | None = None
    ) -> Tensor:
        """Sample of ``x | field``, ``(batch, n)``."""
        own_mean = None if mean is None else self._by_position(mean)
        return self.own.sample(self._by_position(field), generator, self._written(out), own_mean).reshape(field.shape)

    def reconstruction(self, field: Tensor, generator: Noise = None, out: Tensor | None = None) -> Tensor:
        """That of the units of a map, ``(batch, n)``."""
        return self.own.reconstruction(self._by_position(field), generator, self._written(out)).reshape(field.shape)

    def mean_slope(self, mean: Tensor) -> Tensor:
        """That of the units of a map."""
        return self.own.mean_slope(self._by_position(mean)).reshape(mean.shape)

    def write_minus_energy_gradient(self, x: Tensor, weights: Tensor) -> None:
        """Sums over states and positions."""
        self.own.write_minus_energy_gradient(self._by_position(x), self._weights(weights))

    def write_log_partition_gradient(self, field: Tensor, mean: Tensor, weights: Tensor) -> None:
        """Sums over states and positions."""
        own_field, own_mean = self._by_position(field), self._by_position(mean)
        self.own.write_log_partition_gradient(own_field, own_mean, self._weights(weights))

    def initialise_bias(self, data_mean: Tensor) -> None:
        """From the mean over the positions of each map."""
        self.own.initialise_bias(data_mean.view(-1, self.shape[-1]).mean(0))

    @property
    def learns_variance(self) -> bool:
        """As for the units of a map."""
        return self.own.learns_variance

    def initialise_variance(self, data_mean: Tensor, data_variance: Tensor) -> None:
        """From the variance over images and positions of each map."""
        means, variances = (x.view(-1, self.shape[-1]) for x in (data_mean, data_variance))
        self.own.initialise_variance(means.mean(0), variances.mean(0) + means.var(0, correction=0))

    def outputs(self, field: Tensor) -> Tensor:
        """What the layer above sees: means, or the largest of each block, ``(batch, n_outputs)``."""
        if self.pooling is None:
            return self.mean(field)
        function: Activation = Activation.create(self.activation, "hidden.activation")
        return function(self.pooling((self._by_position(field) + self.own.bias).reshape(field.shape)))

    def states_above(self, x: Tensor) -> Tensor:
        """The largest unit of each block, ``(batch, n)`` -> ``(batch, n_outputs)``; without pooling all units."""
        return x if self.pooling is None else self.pooling(x)

    def spread(self, outputs: Tensor) -> Tensor:
        """Means of the units, a block's sum being what is above it, ``(batch, n_outputs)`` -> ``(batch, n)``."""
        return outputs if self.pool is None else evenly(outputs, self.shape, self.pool)

    def states(self) -> Tensor:
        """All combinations of the states of all positions, in counting order.

        Raises:
            SettingError: there are infinitely many states, or more than 2^20.
        """
        own = self.own.states()
        if len(own) ** self.positions > 2**MAX_ENUMERABLE:
            raise SettingError(f"{self} units have {len(own)}^{self.positions} states: enumeration stops at 2^20.")
        chosen = torch.cartesian_prod(*[torch.arange(len(own), device=own.device)] * self.positions)
        return own[chosen.view(-1, self.positions)].flatten(1)

    @classmethod
    def group(cls, members: Sequence[Any]) -> Self:
        """Units of a group, see :meth:`Units.group`."""
        return members[0].holding(type(members[0].own).group([member.own for member in members]))  # type: ignore[no-any-return]

    def member(self, number: int) -> Self:
        """Units of member ``number`` of a group, whose parameters are views of the group's."""
        return self.holding(self.own.member(number))

    def holding(self, own: Units) -> Self:
        """Units of maps with ``own`` in place of the units of a position."""
        other = copy(self)
        other._modules = {"own": own}
        return other


def evenly(outputs: Tensor, shape: Sequence[int], size: int) -> Tensor:
    """What is above each block, spread evenly over its units: ``(..., n_outputs)`` -> ``(..., n)``."""
    height, width, maps = shape
    lower = outputs.div(size**2).unflatten(-1, (height // size, 1, width // size, 1, maps))
    units: Tensor = lower.expand(*lower.shape[:-5], height // size, size, width // size, size, maps).flatten(-5)
    return units
