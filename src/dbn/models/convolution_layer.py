"""Convolutional layers of feed-forward networks."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dbn.errors import SettingError
from dbn.machine.precision_table import Work
from dbn.models.linear import WeightLayer
from dbn.models.maps import as_pictures, channels_last, checked_maps, flattened
from dbn.settings import check_number


def checked_geometry(
    name: str, shape: Sequence[int], maps: int, kernel: int, stride: int, padding: int, *, maps_first: bool
) -> tuple[int, int, int]:
    """Shape (height, width, maps) of a convolution's outputs.

    Args:
        name: of the layer, for messages.
        shape: of the inputs.
        maps: number of filters.
        kernel: side of a filter.
        stride: distance of neighbouring positions of a filter.
        padding: zeros on each side of the inputs.
        maps_first: whether ``shape`` is (channels, height, width).

    Raises:
        SettingError: a value is invalid, the inputs are no pictures, or the filter is larger than the padded inputs.
    """
    check_number("maps", maps, low=1, whole=True)
    check_number("kernel", kernel, low=1, whole=True)
    check_number("stride", stride, low=1, whole=True)
    check_number("padding", padding, low=0, whole=True)
    height, width, _ = checked_maps(name, shape, maps_first=maps_first)
    if maps_first and min(height, width) == 1 < max(height, width):
        raise SettingError(
            f"{name}: its inputs lie in one line, {height}x{width}, as the columns of a table do, without neighbours "
            "above and below. Use dense layers, or give images (n, height, width)."
        )
    if min(height, width) + 2 * padding < kernel:
        raise SettingError(
            f"kernel={kernel}: the filters are larger than their inputs of {height}x{width} with padding={padding}. "
            "Use smaller kernels, less pooling below, or fewer convolutional layers."
        )
    sides = ((side + 2 * padding - kernel) // stride + 1 for side in (height, width))
    return (*sides, maps)  # type: ignore[return-value]  # two sides


class Convolution2d(WeightLayer):
    """Filters that are moved over pictures, with one bias for each map; states and fields are flat.

    Args:
        input_shape: (height, width, maps) of the inputs; with ``maps_first``, (channels, height, width).
        maps: number of filters.
        kernel: side of a filter.
        stride: distance of neighbouring positions of a filter.
        padding: zeros on each side of the inputs.
        maps_first: whether the inputs are images as they are stored, channels first.

    Attributes:
        weight: ``(maps, channels, kernel, kernel)``.
        bias: ``(maps,)``.
        input_shape: of the inputs.
        output_shape: (height, width, maps) of the outputs.

    Raises:
        SettingError: a value is invalid, or the filters are larger than their inputs.

    Shape:
        ``(batch, n_inputs)`` -> ``(batch, height * width * maps)``.

    References:
        LeCun, Bottou, Bengio & Haffner (1998), *Gradient-based learning applied to document recognition*.
    """

    kind: ClassVar[str] = "convolution"
    options: ClassVar[tuple[str, ...]] = ("input_shape", "maps", "kernel", "stride", "padding", "maps_first")
    precisions: ClassVar[tuple[str, ...]] = ("float32", "bf16")
    work: ClassVar[Work] = "convolution"

    def __init__(
        self, input_shape: Sequence[int], maps: int, kernel: int, stride: int = 1, padding: int = 0,
        *, maps_first: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.output_shape = checked_geometry(
            type(self).__name__, input_shape, maps, kernel, stride, padding, maps_first=maps_first
        )
        *_, channels = checked_maps(type(self).__name__, input_shape, maps_first=maps_first)
        self.input_shape = list(input_shape)
        self.maps, self.kernel, self.stride, self.padding, self.maps_first = maps, kernel, stride, padding, maps_first
        self.in_features = torch.Size(input_shape).numel()
        self.out_features = torch.Size(self.output_shape).numel()
        self.weight = nn.Parameter(torch.zeros(maps, channels, kernel, kernel, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(maps, device=device, dtype=dtype))

    @property
    def shape_in(self) -> tuple[int, ...]:
        """Height, width and maps of the inputs, in this order also where the inputs have the channels first."""
        return checked_maps(type(self).__name__, self.input_shape, maps_first=self.maps_first)

    @property
    def shape_out(self) -> tuple[int, ...]:
        """Height, width and maps of the outputs."""
        return self.output_shape

    @property
    def fan_in(self) -> int:
        """Inputs per output: the size of a filter."""
        return self.weight[0].numel()

    @property
    def fan_out(self) -> int:
        """Outputs per input, but for those at the borders."""
        return self.maps * self.kernel**2 // self.stride**2

    def forward(self, x: Tensor) -> Tensor:
        """The filters' responses at every position, plus bias."""
        return self.convolved(x, self.weight, self.bias, in_bfloat16=self.precision == "bf16" and self.training)

    def convolved(self, x: Tensor, weight: Tensor, bias: Tensor, *, in_bfloat16: bool) -> Tensor:
        """:meth:`forward` with given parameters."""
        factor = torch.bfloat16 if in_bfloat16 else x.dtype
        pictures = as_pictures(x, self.input_shape, maps_first=self.maps_first).to(factor)
        weight, bias = channels_last(weight).to(factor), bias.to(factor)
        return flattened(F.conv2d(pictures, weight, bias, self.stride, self.padding)).to(x.dtype)

    @torch.no_grad()
    def limit_norms(self, max_norm: float) -> None:
        """Rescale each filter to norm ``max_norm`` if it exceeds it, see :meth:`WeightLayer.limit_norms`."""
        norms = torch.linalg.vector_norm(self.weight, dim=(1, 2, 3), keepdim=True)
        self.weight.mul_(norms.div_(max_norm).clamp_(min=1.0).reciprocal_())

    @classmethod
    def group(cls, members: Sequence[Any]) -> Any:
        """See :class:`Convolution2dGroup`. Subclasses are refused: they may compute something else."""
        return Convolution2dGroup(members) if cls is Convolution2d else super().group(members)


class Convolution2dGroup(WeightLayer):
    """Convolutions of a group, one after the other: each computes the very numbers that it computes alone.

    Weights are ``(members, maps, channels, kernel, kernel)``, biases ``(members, 1, maps)``.

    Args:
        layers: one layer for each member; their parameters are copied.

    Shape:
        ``(members, batch, n_inputs)`` -> ``(members, batch, height * width * maps)``.
    """

    precisions: ClassVar[tuple[str, ...]] = Convolution2d.precisions
    work: ClassVar[Work] = Convolution2d.work

    def __init__(self, layers: Sequence[Convolution2d]) -> None:
        super().__init__()
        self.like = [layers[0]]  # in a list: its parameters are not this module's
        self.in_features, self.out_features = layers[0].in_features, layers[0].out_features
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]).unsqueeze(1))

    @property
    def shape_in(self) -> tuple[int, ...]:
        """Height, width and maps of a member's inputs."""
        return self.like[0].shape_in

    @property
    def shape_out(self) -> tuple[int, ...]:
        """Height, width and maps of a member's outputs."""
        return self.like[0].shape_out

    @property
    def fan_in(self) -> int:
        """Inputs per output of a member."""
        return self.like[0].fan_in

    @property
    def fan_out(self) -> int:
        """Outputs per input of a member."""
        return self.like[0].fan_out

    def forward(self, x: Tensor) -> Tensor:
        """Each member's convolution of its own inputs."""
        single, in_bfloat16 = self.like[0], self.precision == "bf16" and self.training
        own = zip(x, self.weight, self.bias[:, 0], strict=True)
        return torch.stack([single.convolved(*each, in_bfloat16=in_bfloat16) for each in own])

    @torch.no_grad()
    def limit_norms(self, max_norm: float) -> None:
        """Rescale each filter to norm ``max_norm`` if it exceeds it, see :meth:`WeightLayer.limit_norms`."""
        norms = torch.linalg.vector_norm(self.weight, dim=(2, 3, 4), keepdim=True)
        self.weight.mul_(norms.div_(max_norm).clamp_(min=1.0).reciprocal_())

    @torch.no_grad()
    def copy_member(self, number: int, layer: Convolution2d) -> None:
        """Copy parameters and precision of member ``number`` into ``layer``."""
        layer.weight.copy_(self.weight[number])
        layer.bias.copy_(self.bias[number, 0])
        layer.precision = self.precision
