"""Units of several types side by side, such as the columns of a table."""

import math
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from itertools import accumulate, pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dbn.errors import SettingError
from dbn.models.units.base import Units, checked_shape
from dbn.models.units.bernoulli import MAX_ENUMERABLE
from dbn.random.streams import Noise
from dbn.settings import check_number, format_value


class Mixed(Units):
    r"""Units of several types side by side: energies and log partitions are sums over the parts.

    Args:
        shape: number of units ``n``, that of all parts together, or their shape.
        parts: in order, for each its kind, the number ``n`` of its units, and its options, such as
            ``{"kind": "softmax", "n": 7, "categories": [3, 4]}``.

    Attributes:
        units: the parts' units.

    Raises:
        SettingError: there is no part, a part is invalid or itself mixed, or the parts are not ``n`` units together.

    Example:
        >>> from dbn import RBM, Bernoulli
        >>> from dbn.models.units import make_units
        >>> parts = [{"kind": "gaussian_with_variance", "n": 5}, {"kind": "softmax", "n": 3}]
        >>> rbm = RBM(make_units({"kind": "mixed", "parts": parts}, 8), Bernoulli(4))
        >>> rbm.sample_visible(rbm.hidden.states())[:, 5:].sum(1).unique()
        tensor([1.], grad_fn=<Unique2Backward0>)

    References:
        Welling, Rosen-Zvi & Hinton (2005), *Exponential family harmoniums*; Tran, Phung & Venkatesh (2011),
        *Mixed-variate restricted Boltzmann machines*, ACML.
    """

    kind: ClassVar[str] = "mixed"
    has_one_bias: ClassVar[bool] = False
    options: ClassVar[tuple[str, ...]] = ("parts",)
    interval: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    """Each part has its own, see :meth:`bounds`."""

    def __init__(self, shape: int | Sequence[int], parts: Sequence[Mapping[str, Any]] = ()) -> None:
        nn.Module.__init__(self)  # not that of Units: the parts have the biases
        self.shape = checked_shape(type(self).__name__, shape)
        self.size = math.prod(self.shape)
        if not isinstance(parts, list | tuple) or not parts:
            raise SettingError(
                f"parts={format_value(parts)}: mixed units are made of parts. Give a list, such as "
                "[{kind: gaussian_with_variance, n: 5}, {kind: bernoulli, n: 3}]."
            )
        self.units = nn.ModuleList(map(_part, parts))
        sizes = [units.size for units in self._units]
        if sum(sizes) != self.size:
            raise SettingError(
                f"parts={format_value(list(map(dict, parts)))}: they are {sum(sizes)} units together, of {self.size}."
            )
        self.parts = [_spec(units) for units in self._units]
        self.places = [slice(start, stop) for start, stop in pairwise([0, *accumulate(sizes)])]
        self.activation: Mapping[str, Any] = {
            "kind": "mixed",
            "parts": [{"n": units.size, "activation": units.activation} for units in self._units],
        }
        self.normalised = all(units.normalised for units in self._units)  # type: ignore[misc]  # of an instance

    @property
    def bias(self) -> Tensor:  # type: ignore[override]
        """Biases of all parts, ``(n,)``, a copy; in a group ``(members, 1, n)``."""
        return torch.cat([units.bias for units in self._units], -1)

    @property
    def _units(self) -> list[Units]:
        return list(self.units)  # type: ignore[arg-type]  # a ModuleList knows only that they are modules

    def _of_parts(self, *values: Tensor) -> Iterator[tuple[Any, ...]]:
        """Each part with its columns of ``values`` ``(..., n)``."""
        for units, place in zip(self._units, self.places, strict=True):
            yield (units, *(own[..., place] for own in values))

    def gain(self) -> Tensor | None:
        """Those of the parts, 1 where a part has none; None where no part has one."""
        gains = [units.gain() for units in self._units]
        if all(own is None for own in gains):
            return None
        pairs = zip(self._units, gains, strict=True)
        return torch.cat([torch.ones_like(units.bias) if own is None else own for units, own in pairs], -1)

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Smallest and largest value of every unit, ``(n,)`` each."""
        low, high = zip(*(units.bounds() for units in self._units), strict=True)
        return torch.cat(low), torch.cat(high)

    def energy(self, x: Tensor) -> Tensor:
        """Energy of states ``x`` ``(batch, n)``; returns ``(batch,)`` in nats."""
        return torch.stack([units.energy(own) for units, own in self._of_parts(x)]).sum(0)

    def log_partition(self, field: Tensor) -> Tensor:
        """The parts' log partitions, added; ``field`` ``(batch, n)`` -> ``(batch,)`` in nats."""
        return torch.stack([units.log_partition(own) for units, own in self._of_parts(field)]).sum(0)

    def mean(self, field: Tensor, out: Tensor | None = None) -> Tensor:
        """``E[x | field]``, ``(batch, n)``."""
        return torch.cat([units.mean(own) for units, own in self._of_parts(field)], -1, out=out)

    def sample(
        self, field: Tensor, generator: Noise = None, out: Tensor | None = None, mean: Tensor | None = None
    ) -> Tensor:
        """Draws of every part, ``(batch, n)``."""
        values = (field,) if mean is None else (field, mean)
        drawn = []
        for units, own_field, *own_mean in self._of_parts(*values):
            drawn.append(units.sample(own_field, generator, mean=own_mean[0] if own_mean else None))
        return torch.cat(drawn, -1, out=out)

    def reconstruction(self, field: Tensor, generator: Noise = None, out: Tensor | None = None) -> Tensor:
        """Those of the parts, ``(batch, n)``."""
        return torch.cat([units.reconstruction(own, generator) for units, own in self._of_parts(field)], -1, out=out)

    def write_minus_energy_gradient(self, x: Tensor, weights: Tensor) -> None:
        """Those of the parts."""
        for units, own in self._of_parts(x):
            units.write_minus_energy_gradient(own, weights)

    def add_field_gradient(self, field: Tensor) -> None:
        """Those of the parts."""
        for units, own in self._of_parts(field):
            units.add_field_gradient(own)

    def write_log_partition_gradient(self, field: Tensor, mean: Tensor, weights: Tensor) -> None:
        """Those of the parts."""
        for units, own_field, own_mean in self._of_parts(field, mean):
            units.write_log_partition_gradient(own_field, own_mean, weights)

    def states(self) -> Tensor:
        """All combinations of the parts' states, in counting order.

        Raises:
            SettingError: a part has infinitely many states, or there are more than 2^20.
        """
        found = [units.states() for units in self._units]
        number = math.prod(map(len, found))
        if number > 2**MAX_ENUMERABLE:
            raise SettingError(f"mixed units have {number:.3g} states: enumeration stops at 2^{MAX_ENUMERABLE}.")
        index = torch.cartesian_prod(*(torch.arange(len(own)) for own in found)).view(-1, len(found))
        return torch.cat([own[column.to(own.device)] for own, column in zip(found, index.T, strict=True)], -1)

    def initialise_bias(self, data_mean: Tensor) -> None:
        """Those of the parts."""
        for units, own in self._of_parts(data_mean):
            units.initialise_bias(own)

    @property
    def learns_variance(self) -> bool:
        """Whether one of the parts does."""
        return any(units.learns_variance for units in self._units)

    def initialise_variance(self, data_mean: Tensor, data_variance: Tensor) -> None:
        """Those of the parts that learn theirs."""
        for units, mean, variance in self._of_parts(data_mean, data_variance):
            if units.learns_variance:
                units.initialise_variance(mean, variance)

    @classmethod
    def group(cls, members: Sequence[Any]) -> "Mixed":
        """Units of a group, see :meth:`Units.group`, part by part."""
        parts = zip(*(member.units for member in members), strict=True)
        return members[0].holding([type(of_part[0]).group(of_part) for of_part in parts])  # type: ignore[no-any-return]

    def member(self, number: int) -> "Mixed":
        """Units of member ``number`` of a group, whose parameters are views of the group's."""
        return self.holding([units.member(number) for units in self._units])

    def holding(self, units: Sequence[Units]) -> "Mixed":
        """Mixed units of these parts in place of the own ones."""
        other = copy(self)
        other._modules = {"units": nn.ModuleList(units)}
        return other


def _part(wanted: Any) -> Units:
    """The units of a part."""
    if not isinstance(wanted, Mapping) or "n" not in wanted:
        raise SettingError(f"parts: {format_value(wanted)} needs the number of its units, {{kind: bernoulli, n: 3}}.")
    check_number("parts.n", wanted["n"], low=1, whole=True)
    units: Units = Units.create({key: value for key, value in wanted.items() if key != "n"}, "parts", wanted["n"])
    if units.scales_hidden_bias:
        raise SettingError(
            f"parts: {units.kind} units scale the hidden units' bias, and cannot be a part. Use them alone."
        )
    if isinstance(units, Mixed):
        raise SettingError("parts: mixed units are made of units of one type each. Name these side by side.")
    return units


def _spec(units: Units) -> dict[str, Any]:
    """Kind, number and options of a part, from which :func:`_part` makes such units."""
    spec = units.spec()
    return {"kind": spec, "n": units.size} if isinstance(spec, str) else {**spec, "n": units.size}
