"""The convolutional connection: the same filters at every position of the visible units, and a group of such."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dbn.errors import SettingError
from dbn.machine.cache import cached_parts
from dbn.machine.precision_table import Work
from dbn.models.connections.base import Connection
from dbn.models.convolution_layer import Convolution2d, checked_geometry
from dbn.models.gradients import gradient_of
from dbn.models.linear import WeightLayer
from dbn.models.maps import as_pictures, channels_last, checked_maps, flattened
from dbn.models.tiled_deconvolution import TiledDeconvolution

WEIGHT_ONLY = [False, True, False]
"""What torch's backward of a convolution is asked for: not the input's gradient, the weight's, not the bias's."""


class Convolution(Connection):
    r"""Filters that every hidden map applies at all positions: :math:`-\sum_k h^k \cdot (\tilde W^k * v)`.

    Hidden units of a map share the filter, and, as :class:`dbn.models.units.PerMap`, their bias. With padding, filters
    reach over the border of the visible units, where there is nothing to see.

    Args:
        visible_shape: (height, width, maps); with ``maps_first``, (channels, height, width).
        maps: number of hidden maps.
        kernel: side of a filter.
        stride: distance of neighbouring positions of a filter.
        padding: by how many units filters reach over each border.
        maps_first: whether the visible units are images as they are stored, channels first.

    Attributes:
        weight: ``(maps, channels, kernel, kernel)``.

    Raises:
        SettingError: a value is invalid, the visible units do not lie as pictures, or filters are larger than these.

    References:
        Lee, Grosse, Ranganath & Ng (2009), *Convolutional deep belief networks for scalable unsupervised learning of
        hierarchical representations*, ICML, section 3.1.
    """

    kind: ClassVar[str] = "convolution"
    options: ClassVar[tuple[str, ...]] = ("kernel", "stride", "padding", "maps_first")
    work: ClassVar[Work] = "convolutional rbm"
    fan_in_dimensions = (-3, -2, -1)

    def __init__(
        self, visible_shape: Sequence[int], maps: int, kernel: int = 5, stride: int = 1, padding: int = 0,
        *, maps_first: bool = False,
    ) -> None:  # fmt: skip
        hidden_shape = checked_geometry(
            "connection=convolution", visible_shape, maps, kernel, stride, padding, maps_first=maps_first
        )
        super().__init__(visible_shape, hidden_shape)
        self.positions = hidden_shape[0] * hidden_shape[1]
        self.maps, self.kernel, self.stride, self.padding, self.maps_first = maps, kernel, stride, padding, maps_first
        *sides, channels = checked_maps("connection=convolution", visible_shape, maps_first=maps_first)
        self.weight = nn.Parameter(torch.zeros(maps, channels, kernel, kernel))
        self.deconvolution = TiledDeconvolution((sides[0], sides[1]), channels, kernel, stride, padding)
        self.factor: torch.dtype | None = None

    @property
    def operations(self) -> int:
        """``fan-in * n_hidden``, border positions counted as others."""
        return self.weight[0].numel() * self.n_hidden

    @property
    def fans(self) -> tuple[int, int]:
        """``channels * kernel^2``, and ``maps * kernel^2 / stride^2``, away from borders."""
        return self.weight[0].numel(), max(1, self.maps * self.kernel**2 // self.stride**2)

    @property
    def factor_dtype(self) -> torch.dtype:
        """Type of factors: that of the weight, or bfloat16."""
        return self.factor or self.weight.dtype

    def hidden_field(self, v: Tensor, out: Tensor | None = None) -> Tensor:
        """Responses of the filters."""
        return written(self.responses, self.weight, v, out)

    def visible_field(self, h: Tensor, out: Tensor | None = None) -> Tensor:
        """The filters, added where hidden units see them, times their states."""
        return written(self.transposed, self.weight, h, out)

    def write_gradient(self, v: Tensor, h: Tensor, state_weights: Tensor) -> None:
        """Correlations of visible and hidden states, over states and positions."""
        self.write_weighted_gradient(v, h.mul_(state_weights.unsqueeze(-1)))

    def write_weighted_gradient(self, v: Tensor, weighted_h: Tensor) -> None:
        """See :meth:`Connection.write_weighted_gradient`."""
        gradient_of(self.weight).copy_(self.correlations(v, weighted_h, self.weight))

    def responses(self, v: Tensor, weight: Tensor) -> Tensor:
        """Responses of the given filters, in the type of factors."""
        dtype = self.factor or weight.dtype
        pictures = as_pictures(v, self.visible_shape, maps_first=self.maps_first).to(dtype)
        return flattened(F.conv2d(pictures, channels_last(weight).to(dtype), None, self.stride, self.padding))

    def transposed(self, h: Tensor, weight: Tensor) -> Tensor:
        """The given filters, added where hidden units see them, times their states, in the type of factors."""
        dtype = self.factor or weight.dtype
        field = self.deconvolution(as_pictures(h, self.hidden_shape).to(dtype), weight.to(dtype))
        return flattened(field, maps_first=self.maps_first)

    def correlations(self, v: Tensor, h: Tensor, weight: Tensor) -> Tensor:
        """Sum over states and positions of visible states times hidden ones, of the shape of ``weight``."""
        dtype = self.factor or weight.dtype
        visible = as_pictures(v, self.visible_shape, maps_first=self.maps_first).to(dtype)
        hidden = as_pictures(h, self.hidden_shape).to(dtype)
        gradient: Tensor = torch.ops.aten.convolution_backward(
            hidden, visible, channels_last(weight).to(dtype), None, [self.stride] * 2, [self.padding] * 2, [1, 1],
            False, [0, 0], 1, WEIGHT_ONLY,
        )[1]  # fmt: skip
        return gradient

    def encoder(self, bias: Tensor) -> WeightLayer:
        """Convolutional layer with copies of the filters and of the maps' biases."""
        layer = Convolution2d(
            self.visible_shape, self.maps, self.kernel, self.stride, self.padding, maps_first=self.maps_first,
            device=self.weight.device, dtype=self.weight.dtype,
        )  # fmt: skip
        with torch.no_grad():
            layer.weight.copy_(self.weight)
            layer.bias.copy_(bias)
        return layer

    def decoder(self, bias: Tensor) -> WeightLayer:
        """Refused: networks have no layer that goes back from maps to pictures.

        Raises:
            SettingError: always.
        """
        raise SettingError(
            "task=autoencoder: a convolutional layer has no decoder in a network. Use a stack of dense layers, such as "
            "stack=mnist_autoencoder, or task=classifier."
        )

    def units_of_visible(self, wanted: str | Mapping[str, Any]) -> str | Mapping[str, Any]:
        """Images have parameters of their own for every pixel, maps one for all positions."""
        return wanted if self.maps_first else {"kind": "per_map", "units": wanted}

    def units_of_hidden(self, wanted: str | Mapping[str, Any], pool: int | None) -> str | Mapping[str, Any]:
        """Units with parameters per map; binary ones that are pooled exclude each other within a block."""
        if pool is None:
            return {"kind": "per_map", "units": wanted}
        if wanted in ("bernoulli", {"kind": "bernoulli"}):
            return {"kind": "max_pooled", "pool": pool}
        return {"kind": "per_map", "units": wanted, "pool": pool}

    @property
    def precisions(self) -> tuple[str, ...]:
        """All; ``bf16`` not for subclasses."""
        return (*super().precisions, "bf16") if type(self) is Convolution else super().precisions

    def in_bfloat16(self) -> Connection:
        """The same connection with factors in bfloat16; sums, fields and gradients stay in float32."""
        if type(self) is not Convolution:
            return super().in_bfloat16()
        other = self.untrained()
        other.weight = self.weight
        other.factor = torch.bfloat16
        return other

    def untrained(self) -> "Convolution":
        """A connection of the same shape, with weights of zero."""
        return Convolution(
            self.visible_shape, self.maps, self.kernel, self.stride, self.padding, maps_first=self.maps_first
        )

    @classmethod
    def group(cls, members: Sequence[Any]) -> Any:
        """See :class:`ConvolutionGroup`. Subclasses are refused: they may compute something else."""
        return ConvolutionGroup(members) if cls is Convolution else super().group(members)


class ConvolutionGroup(Connection):
    """Convolutional connections of one shape, computed one after the other: each as it would be alone.

    The weight is ``(members, maps, channels, kernel, kernel)``; states and fields are ``(members, batch, n)``.

    Args:
        connections: the members; their weights are copied.
    """

    work: ClassVar[Work] = Convolution.work
    fan_in_dimensions = Convolution.fan_in_dimensions

    def __init__(self, connections: Sequence[Convolution]) -> None:
        super().__init__(connections[0].visible_shape, connections[0].hidden_shape)
        self.weight = nn.Parameter(torch.stack([connection.weight.detach() for connection in connections]))
        self.members = (len(connections),)
        self.positions = connections[0].positions
        self.like = [connections[0].untrained()]  # in a list: its parameter is not this module's

    @property
    def operations(self) -> int:
        """Those of a member."""
        return self.like[0].operations

    @property
    def factor_dtype(self) -> torch.dtype:
        """That of a member."""
        return self.like[0].factor or self.weight.dtype

    def hidden_field(self, v: Tensor, out: Tensor | None = None) -> Tensor:
        """See :meth:`Convolution.hidden_field`."""
        return written_by_members(self.like[0].responses, self.weight, v, out)

    def visible_field(self, h: Tensor, out: Tensor | None = None) -> Tensor:
        """See :meth:`Convolution.visible_field`."""
        return written_by_members(self.like[0].transposed, self.weight, h, out)

    def write_gradient(self, v: Tensor, h: Tensor, state_weights: Tensor) -> None:
        """Gradient of each member, from states ``(2, members, batch, n)``."""
        self.write_weighted_gradient(v, h.mul_(state_weights.unsqueeze(-1)))

    def write_weighted_gradient(self, v: Tensor, weighted_h: Tensor) -> None:
        """See :meth:`Connection.write_weighted_gradient`."""
        both_v, both_h = (x.transpose(0, 1).flatten(1, 2) for x in (v, weighted_h))
        own = map(self.like[0].correlations, both_v, both_h, self.weight)
        gradient_of(self.weight).copy_(torch.stack(list(own)))

    def encoder(self, bias: Tensor) -> WeightLayer:
        """Refused: members have encoders."""
        raise SettingError("A group of convolutions has no encoder: its members have one each.")

    def decoder(self, bias: Tensor) -> WeightLayer:
        """Refused: members are asked."""
        raise SettingError("A group of convolutions has no decoder: its members are asked for one.")

    @property
    def precisions(self) -> tuple[str, ...]:
        """All."""
        return (*super().precisions, "bf16")

    def in_bfloat16(self) -> Connection:
        """A group with the same weight and factors in bfloat16."""
        other = ConvolutionGroup([self.member(number) for number in range(*self.members)])
        other.weight = self.weight
        other.like[0].factor = torch.bfloat16
        return other

    def member(self, number: int) -> Convolution:
        """Member ``number``, whose weight is a view of the group's."""
        member = self.like[0].untrained()
        member.weight = nn.Parameter(self.weight.detach()[number])
        return member


Product = Callable[[Tensor, Tensor], Tensor]
"""From states ``(batch, n)`` and filters to a field, in the type of factors."""


def written(product: Product, weight: Tensor, states: Tensor, out: Tensor | None) -> Tensor:
    """The field in ``out`` if that is given, else in the type of ``states``.

    What is copied into ``out`` is computed by parts: it is still in the processor's cache then.
    """
    if out is None:
        return product(states, weight).to(states.dtype)
    for field, own in cached_parts(out, states):
        field.copy_(product(own, weight))
    return out


def written_by_members(product: Product, weight: Tensor, states: Tensor, out: Tensor | None) -> Tensor:
    """As :func:`written`, for ``(members, batch, n)`` and the members' weights."""
    if out is None:
        return torch.stack([written(product, own, x, None) for own, x in zip(weight, states, strict=True)])
    for own, x, field in zip(weight, states, out, strict=True):
        written(product, own, x, field)
    return out
