"""The interface of connections, which own the weight of an RBM."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dbn.errors import SettingError
from dbn.machine.precision_table import Work
from dbn.models.linear import WeightLayer
from dbn.models.registry import Registered


class Connection(Registered, nn.Module, ABC):
    r"""Connection between a layer of visible and a layer of hidden units; owns the weight.

    The interaction energy is linear in the weight: :math:`-\sum_k W_k\,\phi_k(v, h)`, with :math:`\phi = v h^T` for a
    dense connection. States and fields are flat, ``(batch, n)``, for any shape of the units.

    A user-defined type subclasses this class, sets ``kind``, and takes ``visible_shape`` and ``n_hidden`` as its first
    arguments; see :class:`dbn.models.registry.Registered`.

    Args:
        visible_shape: shape of the visible units.
        hidden_shape: shape of the hidden units.
    """

    registry: ClassVar[dict[str, type[Any]]] = {}

    weight: nn.Parameter
    """The only parameter; the weight cost applies to it."""
    work: ClassVar[Work] = "rbm"
    """What its training is in the table of precisions."""
    positions: int = 1
    """Places at which each weight is applied."""
    members: tuple[int, ...] = ()
    """Leading dimensions of states and weight: ``(members,)`` in a group, else empty."""
    fan_in_dimensions: tuple[int, ...]
    """Dimensions of the weight, from its end, over which the weights of one hidden unit, or of one map, lie."""

    def __init__(self, visible_shape: Sequence[int], hidden_shape: Sequence[int]) -> None:
        super().__init__()
        self.visible_shape = tuple(visible_shape)
        self.hidden_shape = tuple(hidden_shape)

    @property
    def n_visible(self) -> int:
        """Number of visible units."""
        return math.prod(self.visible_shape)

    @property
    def n_hidden(self) -> int:
        """Number of hidden units."""
        return math.prod(self.hidden_shape)

    @property
    @abstractmethod
    def operations(self) -> int:
        """Multiplications of a field for one state, in either direction."""

    @abstractmethod
    def hidden_field(self, v: Tensor, out: Tensor | None = None) -> Tensor:
        """Field of the hidden units, ``(batch, n_visible)`` -> ``(batch, n_hidden)``, written to ``out`` if given."""

    @abstractmethod
    def visible_field(self, h: Tensor, out: Tensor | None = None) -> Tensor:
        """Field of the visible units, ``(batch, n_hidden)`` -> ``(batch, n_visible)``, written to ``out`` if given."""

    @abstractmethod
    def write_gradient(self, v: Tensor, h: Tensor, state_weights: Tensor) -> None:
        r"""Write :math:`\sum_s w_s\,\phi(v_s, h_s)`, the gradient of :math:`-\sum_s w_s E_s`, into ``weight.grad``.

        Args:
            v: visible states ``(states, n_visible)``.
            h: hidden states or means ``(states, n_hidden)``; overwritten.
            state_weights: ``w``, ``(states,)``.

        In a group the shapes are ``(2, members, batch, n)`` and ``(2, members, batch)``, with the phases first.
        """

    def write_weighted_gradient(self, v: Tensor, weighted_h: Tensor) -> None:
        """As :meth:`write_gradient`, for ``h`` that are multiplied by their states' weights; they are overwritten."""
        self.write_gradient(v, weighted_h, weighted_h.new_ones(weighted_h.shape[:-1]))  # phi is linear in h

    @property
    def can_be_centered(self) -> bool:
        """Whether :meth:`center_gradient` is supported."""
        return False

    def center_gradient(
        self, visible_offset: Tensor, hidden_offset: Tensor, visible_sum: Tensor, hidden_sum: Tensor
    ) -> tuple[Tensor, Tensor]:
        r"""From the gradient :math:`\sum_s w_s v_s h_s^T` in ``weight.grad`` to that of centered states.

        Args:
            visible_offset: :math:`\mu`, ``(1, n_visible)``, in a group ``(members, 1, n_visible)``.
            hidden_offset: :math:`\lambda`, ``(1, n_hidden)``.
            visible_sum: :math:`\sum_s w_s v_s`, ``(1, n_visible)``; the weights sum to zero.
            hidden_sum: :math:`\sum_s w_s h_s`, ``(1, n_hidden)``.

        Returns:
            The visible units' field of :math:`\lambda` ``(1, n_visible)`` and the hidden units' field of :math:`\mu`
            ``(1, n_hidden)``, with the centered gradient in the place of the weight.

        Raises:
            SettingError: this type does not support it.
        """
        raise SettingError(
            f"gradient=centered: {type(self).__name__} does not say how its gradient is centered. Use gradient=plain."
        )

    @property
    def factor_dtype(self) -> torch.dtype:
        """Type to which products round their factors: that of the weight."""
        return self.weight.dtype

    @abstractmethod
    def encoder(self, bias: Tensor) -> WeightLayer:
        """Network layer that computes ``hidden_field(v) + bias``, with copies of weight and bias.

        See :class:`dbn.models.linear.WeightLayer` for its interface.
        """

    @abstractmethod
    def decoder(self, bias: Tensor) -> WeightLayer:
        """Network layer that computes ``visible_field(h) + bias``, with copies of weight and bias."""

    def units_of_visible(self, wanted: str | Mapping[str, Any]) -> str | Mapping[str, Any]:
        """Type of visible units whose values have the type ``wanted``: that type itself."""
        return wanted

    def units_of_hidden(self, wanted: str | Mapping[str, Any], pool: int | None) -> str | Mapping[str, Any]:
        """Type of hidden units of the type ``wanted``.

        Args:
            wanted: kind, or kind and options.
            pool: side of the blocks that the layer above sees one unit of; None: it sees all units.

        Raises:
            SettingError: hidden units are pooled that do not lie as maps.
        """
        if pool is not None:
            raise SettingError(
                f"pool={pool}: only convolutional layers are pooled. Leave it out, or give the layer maps, as in "
                "'stack.layers=[{kind: convolution, maps: 24, kernel: 5, pool: 2}]'."
            )
        return wanted

    @property
    def fans(self) -> tuple[int, int]:
        """Number of units that a hidden unit, and that a visible unit is connected with: all of the other layer."""
        return self.n_visible, self.n_hidden

    @property
    def glorot_std(self) -> float:
        r"""Standard deviation :math:`\sqrt{2 / (n_{in} + n_{out})}` (Glorot & Bengio 2010, equation 12)."""
        return math.sqrt(2 / sum(self.fans))

    def initialise(self, std: float, generator: torch.Generator | None = None) -> None:
        """Draw the weight from N(0, ``std**2``)."""
        with torch.no_grad():
            self.weight.copy_(torch.randn(self.weight.shape, generator=generator) * std)

    @property
    def precisions(self) -> tuple[str, ...]:
        """Precisions in which it can be trained: any in ``tf32``; ``bf16`` if :meth:`in_bfloat16` is supported."""
        return ("float32", "tf32")

    def in_bfloat16(self) -> "Connection":
        """A connection for training with the same weight (shared) and bfloat16 products.

        Raises:
            SettingError: this type does not support bfloat16.
        """
        raise SettingError(
            f"precision=bf16: {type(self).__name__} multiplies in float32 only. Use precision=float32, or auto."
        )

    def refresh(self) -> None:
        """Update copies of the weight, if there are any; called before each step."""

    def member(self, number: int) -> "Connection":
        """Member ``number`` of a group, whose weight is a view of the group's."""
        raise SettingError(f"{type(self).__name__} is one connection, not a group of them.")

    def extra_repr(self) -> str:
        """Shapes and options, for ``print(rbm)``."""
        shapes = [size[0] if len(size) == 1 else size for size in (self.visible_shape, self.hidden_shape)]
        return ", ".join([*map(str, shapes), *(f"{name}={getattr(self, name)}" for name in self.options)])
