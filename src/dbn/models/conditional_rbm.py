"""The conditional RBM: an RBM whose biases depend on side information, such as a class or other columns of a table."""

from collections.abc import Sequence
from typing import Any, ClassVar, NoReturn, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dbn.data.tensors import as_states
from dbn.errors import DataError, SettingError
from dbn.models.connections import Connection, make_connection
from dbn.models.linear import WeightLayer
from dbn.models.rbm import RBM
from dbn.models.unit_pair import UnitPair
from dbn.models.units import Units, make_units
from dbn.settings import check_number


class ConditionalRBM(UnitPair):
    r"""An RBM of ``v`` and ``h`` given side information ``u``: :math:`E(v, h \mid u) = E(v, h) - u A v - u B h`.

    ``u`` adds fields to both layers that are linear in it, so that biases are :math:`b + u A` and :math:`c + u B`. It
    is given, never drawn: there is no distribution of ``u``, and ``log Z(u)`` is another one for each. For any ``u``
    the model is an RBM, :meth:`given_conditions`, and what is known of RBMs is known of that.

    Args:
        visible: visible units.
        hidden: hidden units.
        n_conditions: numbers in ``u``; of classes one for each.
        connection: of the two layers; None: dense, with weights from N(0, weight_std^2).
        weight_std: as for :class:`dbn.models.rbm.RBM`.
        generator: source of these weights.

    Attributes:
        visible_weight: ``A``, ``(n_conditions, n_visible)``, zero at first; in a group with the members first.
        hidden_weight: ``B``, ``(n_conditions, n_hidden)``, likewise.

    Raises:
        SettingError: as for an RBM; visible units that scale the hidden units' bias; or ``n_conditions`` below 1.

    Example:
        >>> import torch
        >>> from dbn import Bernoulli
        >>> from dbn.models.conditional_rbm import ConditionalRBM
        >>> rbm = ConditionalRBM(Bernoulli(64), Bernoulli(50), n_conditions=3)
        >>> rbm.given_conditions(torch.rand(10, 3)).gibbs(torch.rand(10, 64).round(), steps=5).shape
        torch.Size([10, 64])

    References:
        Taylor, Hinton & Roweis (2007), *Modeling human motion using binary latent variables*, NIPS; Mnih, Larochelle &
        Hinton (2011), *Conditional restricted Boltzmann machines for structured output prediction*, UAI.
    """

    kind: ClassVar[str] = "conditional_rbm"

    def __init__(
        self, visible: Units, hidden: Units, n_conditions: int, connection: Connection | None = None, *,
        weight_std: float | None = None, generator: torch.Generator | None = None,
    ) -> None:  # fmt: skip
        check_number("n_conditions", n_conditions, low=1, whole=True)
        rbm = RBM(visible, hidden, connection, weight_std=weight_std, generator=generator)
        if visible.scales_hidden_bias:
            raise SettingError(
                f"visible={visible.kind}: such units scale the hidden units' bias, which side information changes. Use "
                "another type, such as bernoulli."
            )
        super().__init__(visible, hidden, rbm.connection)
        self.n_conditions = n_conditions
        members = self.connection.members
        self.visible_weight = nn.Parameter(torch.zeros(*members, n_conditions, visible.size))
        self.hidden_weight = nn.Parameter(torch.zeros(*members, n_conditions, hidden.size))

    def conditions(self, u: Any) -> Tensor:
        """Side information ``(batch, n_conditions)`` of the weights' type; of class numbers ``(batch,)`` one for each.

        Raises:
            DataError: another number of conditions, or numbers that are no classes.
        """
        given = torch.as_tensor(u)
        if given.is_floating_point():
            return as_states(given, self.weight, self.n_conditions, "side information")
        if len(given) and not 0 <= int(given.min()) <= int(given.max()) < self.n_conditions:
            raise DataError(
                f"u goes from {int(given.min())} to {int(given.max())}: give numbers of classes from 0 to "
                f"{self.n_conditions - 1}, or rows of {self.n_conditions} floats."
            )
        return F.one_hot(given.long(), self.n_conditions).to(self.weight)

    def given_conditions(self, u: Any) -> "GivenConditions":
        """The RBM of each case, ``p(v, h | u)``, with this model's parameters.

        Args:
            u: side information ``(batch, n_conditions)`` of as many cases as there will be states, or a single row for
                all; or class numbers ``(batch,)``. In a group ``(members, batch, n_conditions)``.

        Raises:
            DataError: as :meth:`conditions`.
        """
        u = u if self.connection.members else self.conditions(u)
        shifts = u @ self.visible_weight, u @ self.hidden_weight
        return GivenConditions(self.visible, self.hidden, self.connection, *shifts)

    def weights(self) -> list[nn.Parameter]:
        """``W``, ``A`` and ``B``."""
        return [self.connection.weight, self.visible_weight, self.hidden_weight]

    def _needs_conditions(self) -> NoReturn:
        raise SettingError(
            "A conditional RBM says nothing without its side information. Use rbm.given_conditions(u), or for a class "
            "label=..., as in dbn-sample label=3; layers of a network and of a larger stack are RBMs, method=rbm."
        )

    def up(self, x: Tensor) -> Tensor:
        """Refused: there is no hidden mean without side information.

        Raises:
            SettingError: always.
        """
        self._needs_conditions()

    def down(self, h: Tensor) -> Tensor:
        """Refused, as :meth:`up`."""
        self._needs_conditions()

    def encoder(self) -> tuple[WeightLayer, Any]:
        """Refused, as :meth:`up`."""
        self._needs_conditions()

    def decoder(self) -> tuple[WeightLayer, Any]:
        """Refused, as :meth:`up`."""
        self._needs_conditions()

    @classmethod
    def group(cls, members: Sequence[Any]) -> Self:
        """See :meth:`UnitPair.group`."""
        pair = RBM.group([RBM(own.visible, own.hidden, own.connection) for own in members])
        made = cls(pair.visible, pair.hidden, members[0].n_conditions, pair.connection).to(pair.weight)
        with torch.no_grad():
            for k, own in enumerate(members):
                made.visible_weight[k].copy_(own.visible_weight)
                made.hidden_weight[k].copy_(own.hidden_weight)
        return made

    def members(self) -> "list[Self]":
        """See :meth:`UnitPair.members`."""
        if not self.connection.members:
            return [self]
        each = []
        for k in range(*self.connection.members):
            own = type(self)(
                self.visible.member(k), self.hidden.member(k), self.n_conditions, self.connection.member(k)
            )
            own.visible_weight = nn.Parameter(self.visible_weight.detach()[k])
            own.hidden_weight = nn.Parameter(self.hidden_weight.detach()[k])
            each.append(own)
        return each

    def description(self) -> dict[str, Any]:
        """See :meth:`UnitPair.description`; with the number of conditions."""
        return {**super().description(), "n_conditions": self.n_conditions}

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> Self:
        """An untrained layer, see :meth:`dbn.models.layer.Layer.from_description`."""
        shape, hidden_shape = description["visible_shape"], description["hidden_shape"]
        visible, hidden = make_units(description["visible"], shape), make_units(description["hidden"], hidden_shape)
        connection = make_connection(description["connection"], shape, hidden_shape[-1])
        return cls(visible, hidden, description["n_conditions"], connection)


class GivenConditions(RBM):
    """An RBM in which each case has fields of its own, beside those of the other layer: as biases, for any units.

    All methods of an RBM take states of as many cases as there are fields, or of any number where there is one row of
    them. An inverse temperature leaves these fields as they are, like biases.

    Args:
        visible: visible units.
        hidden: hidden units.
        connection: of the two layers.
        visible_shift: field of the visible units ``(batch, n_visible)``.
        hidden_shift: field of the hidden units ``(batch, n_hidden)``.
    """

    def __init__(
        self, visible: Units, hidden: Units, connection: Connection, visible_shift: Tensor, hidden_shift: Tensor
    ) -> None:
        super().__init__(visible, hidden, connection)
        self.visible_shift, self.hidden_shift = visible_shift, hidden_shift

    def hidden_field(self, v: Tensor, out: Tensor | None = None, beta: float = 1.0) -> Tensor:
        """See :meth:`RBM.hidden_field`."""
        return torch.add(super().hidden_field(v, out, beta), self.hidden_shift, out=out)

    def visible_field(self, h: Tensor, out: Tensor | None = None, beta: float = 1.0) -> Tensor:
        """See :meth:`RBM.visible_field`."""
        return torch.add(super().visible_field(h, out, beta), self.visible_shift, out=out)

    def energy(self, v: Tensor, h: Tensor, beta: float = 1.0) -> Tensor:
        """See :meth:`RBM.energy`."""
        return super().energy(v, h, beta) - (self.visible_states(v) * self.visible_shift).sum(-1)

    def free_energy(self, v: Tensor, beta: float | Sequence[float] = 1.0) -> Tensor:
        """See :meth:`RBM.free_energy`."""
        v = self.visible_states(v)
        own, field = self.visible.energy(v) - (v * self.visible_shift).sum(-1), self.connection.hidden_field(v)
        if isinstance(beta, Sequence):
            return torch.stack([own - self.hidden.log_partition(b * field + self.hidden_shift) for b in beta])
        return own - self.hidden.log_partition(beta * field + self.hidden_shift)

    def free_energy_hidden(self, h: Tensor, beta: float = 1.0) -> Tensor:
        """See :meth:`RBM.free_energy_hidden`."""
        return super().free_energy_hidden(h, beta) - (self.hidden_states(h) * self.hidden_shift).sum(-1)
