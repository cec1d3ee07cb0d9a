"""A layer of a DBN whose recognition and generative weights are not tied: what up-down training makes of an RBM."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from dbn.errors import SettingError
from dbn.models.connections import Connection, make_connection
from dbn.models.layer import Layer
from dbn.models.rbm import RBM
from dbn.models.unit_pair import UnitPair
from dbn.models.units import Bernoulli, Gaussian, Units, make_units
from dbn.random.streams import Noise

VISIBLE = (Bernoulli, Gaussian)
"""Types of visible units whose generative parameters are learned from their means."""


class Untied(UnitPair):
    r"""A directed layer, :math:`p(v \mid h)`, with an approximate posterior, :math:`q(h \mid v)`, of its own weights.

    Below the top RBM a DBN is a directed model. In :math:`p(v \mid h)` the visible units have the field
    :math:`h R^T` of the generative weight ``R`` and their generative biases; in :math:`q(h \mid v)` the hidden units
    have the field :math:`v W` of the recognition weight ``W`` and their recognition biases. With ``R = W`` both are
    those of an RBM. (The hidden units' generative biases are the visible biases of the layer above.)

    Args:
        visible: visible units, with their generative biases.
        hidden: binary hidden units, with their recognition biases.
        connection: recognition weight ``W``.
        generative: generative weight ``R``, of the same shape.

    Raises:
        SettingError: units of other types, whose local log-probabilities have other gradients.

    Example:
        >>> import torch
        >>> from dbn import DBN, RBM, Bernoulli
        >>> from dbn.models.untied import Untied
        >>> layer = Untied.of(RBM(Bernoulli(64), Bernoulli(50)))
        >>> DBN([layer, RBM(Bernoulli(50), Bernoulli(20))]).sample(5, steps=10).shape
        torch.Size([5, 64])

    References:
        Hinton, Osindero & Teh (2006), Neural Computation 18:1527, section 5 and appendix B; Hinton, Dayan, Frey & Neal
        (1995), *The wake-sleep algorithm for unsupervised neural networks*, Science 268:1158.
    """

    kind: ClassVar[str] = "untied"

    def __init__(self, visible: Units, hidden: Units, connection: Connection, generative: Connection) -> None:
        check_visible_units(visible)
        if type(hidden) is not Bernoulli:
            raise SettingError(
                f"hidden={hidden.kind}: up-down training is for dense layers of binary units. Use hidden=bernoulli "
                "below the top RBM, or leave the stack as greedy learning has made it, method=rbm."
            )
        super().__init__(visible, hidden, connection)
        self.generative = generative
        self.__dict__["generative"] = generative

    @classmethod
    def of(cls, layer: Layer) -> "Untied":
        """A layer with copies of an RBM's parameters, its weight in both places; of an untied layer a copy of it.

        Raises:
            SettingError: the layer is neither, or has units of other types.
        """
        if not isinstance(layer, RBM | Untied):
            raise SettingError(
                f"{type(layer).__name__}: up-down training is for stacks of RBMs, and this layer has no distribution. "
                "Pretrain with method=rbm or method=class_rbm."
            )
        description = layer.description()
        made = cls.from_description(description).to(layer.weight)
        state = layer.state_dict()
        made.load_state_dict({"generative.weight": layer.weight, **state})
        return made

    @property
    def downward(self) -> Connection:
        """The generative connection."""
        return self.generative

    def visible_field(self, h: Tensor) -> Tensor:
        """Generative field of the visible units, ``h R^T``: ``(batch, n_hidden)`` -> ``(batch, n_visible)``."""
        return self.generative.visible_field(self.hidden_states(h))

    def mean_hidden(self, v: Tensor) -> Tensor:
        """Means of ``q(h | v)``, ``(batch, n_hidden)``."""
        return self.hidden.mean(self.hidden_field(v))

    def sample_hidden(self, v: Tensor, generator: Noise = None) -> Tensor:
        """Sample of ``q(h | v)``, ``(batch, n_hidden)``."""
        return self.hidden.sample(self.hidden_field(v), generator)

    def mean_visible(self, h: Tensor) -> Tensor:
        """Means of ``p(v | h)``, ``(batch, n_visible)``."""
        return self.visible.mean(self.visible_field(h))

    def sample_visible(self, h: Tensor, generator: Noise = None) -> Tensor:
        """Sample of ``p(v | h)``, ``(batch, n_visible)``."""
        return self.visible.sample(self.visible_field(h), generator)

    def log_generative(self, v: Tensor, h: Tensor) -> Tensor:
        """``log p(v | h)`` of pairs of states, ``(batch,)`` in nats."""
        return log_conditional(self.visible, self.visible_states(v), self.visible_field(h))

    def log_recognition(self, v: Tensor, h: Tensor) -> Tensor:
        """``log q(h | v)`` of pairs of states, ``(batch,)`` in nats."""
        return log_conditional(self.hidden, self.hidden_states(h), self.hidden_field(v))

    def weights(self) -> list[nn.Parameter]:
        """Both weights."""
        return [self.connection.weight, self.generative.weight]

    def write_generative_gradient(self, v: Tensor, h: Tensor, weights: Tensor) -> None:
        r"""Write the gradient of :math:`-\log p(v \mid h)` into ``grad`` of generative weight and visible biases.

        It is the delta rule, :math:`-(v - E[v \mid h])\,h^T`.

        Args:
            v: states or means of the visible units ``(batch, n_visible)``, in a group ``(members, batch, n_visible)``.
            h: states of the hidden units ``(batch, n_hidden)``, likewise.
            weights: minus the weight of each pair, then the weight, as of the two phases of an RBM: ``(2 * batch,)``,
                in a group ``(2, members, batch)``.
        """
        both = in_phases(v, self.visible.mean(self.generative.visible_field(h)))
        self.visible.write_minus_energy_gradient(both, weights)
        self.generative.write_gradient(both, in_phases(h, h), weights)

    def write_recognition_gradient(self, v: Tensor, h: Tensor, weights: Tensor) -> None:
        r"""Write the gradient of :math:`-\log q(h \mid v)` into ``grad`` of recognition weight and hidden biases.

        It is the delta rule, :math:`-v^T (h - E[h \mid v])`; arguments as of :meth:`write_generative_gradient`.
        """
        both = in_phases(h, self.hidden.mean(self.connection.hidden_field(v)))
        self.hidden.write_minus_energy_gradient(both, weights)
        self.connection.write_gradient(in_phases(v, v), both, weights)

    @classmethod
    def group(cls, members: Sequence[Any]) -> Self:
        """See :meth:`UnitPair.group`."""
        pair = RBM.group([RBM(own.visible, own.hidden, own.connection) for own in members])
        generative = type(members[0].generative).group([own.generative for own in members])
        return cls(pair.visible, pair.hidden, pair.connection, generative)

    def members(self) -> "list[Self]":
        """See :meth:`UnitPair.members`."""
        if not self.connection.members:
            return [self]
        return [
            type(self)(
                self.visible.member(k), self.hidden.member(k), self.connection.member(k), self.generative.member(k)
            )
            for k in range(*self.connection.members)
        ]

    def in_precision(self, precision: str) -> Self:
        """See :meth:`UnitPair.in_precision`."""
        if precision == "float32":
            return self
        pair = RBM(self.visible, self.hidden, self.connection).in_precision(precision)
        other = RBM(self.visible, self.hidden, self.generative).in_precision(precision)
        return type(self)(self.visible, self.hidden, pair.connection, other.connection)

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> Self:
        """An untrained layer, see :meth:`Layer.from_description`; its connections are alike."""
        shape, hidden_shape = description["visible_shape"], description["hidden_shape"]
        connection, generative = (make_connection(description["connection"], shape, hidden_shape[-1]) for _ in range(2))
        visible, hidden = make_units(description["visible"], shape), make_units(description["hidden"], hidden_shape)
        return cls(visible, hidden, connection, generative)


def check_visible_units(units: Units) -> None:
    """Raise :class:`SettingError` unless the gradient of visible units' generative biases follows from their means."""
    if type(units) not in VISIBLE:
        raise SettingError(
            f"visible={units.kind}: up-down training learns what visible units generate from their means alone, which "
            f"is enough for {' and '.join(own.kind for own in VISIBLE)} ones. Use stack.visible=bernoulli, or leave "
            "the stack as greedy learning has made it, method=rbm."
        )


def in_phases(first: Tensor, second: Tensor) -> Tensor:
    """States ``(batch, n)`` below each other, ``(2 * batch, n)``; of a group stacked, ``(2, members, batch, n)``."""
    return torch.cat([first, second]) if first.dim() == 2 else torch.stack([first, second])


def log_conditional(units: Units, x: Tensor, field: Tensor) -> Tensor:
    """``log p(x | field)`` of units' states ``(batch, n)``, ``(batch,)`` in nats."""
    return (field * x).sum(-1) - units.energy(x) - units.log_partition(field)
