"""Layers of weights of feed-forward networks: the interface, and dense layers in float32, bfloat16 or TF32."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dbn.errors import SettingError
from dbn.machine.precision_table import Work
from dbn.machine.products import TF32, faster_products
from dbn.models.registry import Registered


class WeightLayer(Registered, nn.Module):
    """A layer of weights of a network. A user-defined type sets ``kind``, see :class:`Registered`.

    Attributes:
        weight: weights; the last dimension runs over an output's incoming weights.
        bias: biases.
        in_features: number of inputs.
        out_features: number of outputs.
        precision: one of ``precisions``, in training; in evaluation mode every product is in float32.
    """

    registry: ClassVar[dict[str, type[Any]]] = {}

    weight: nn.Parameter
    bias: nn.Parameter
    in_features: int
    out_features: int
    precision: str = "float32"
    precisions: ClassVar[tuple[str, ...]] = ("float32",)
    """Values that ``precision`` may take."""
    work: ClassVar[Work] = "network"
    """What was measured to decide its precision."""
    units_below: ClassVar[tuple[str, ...]] = ()
    """Activations of units of which it takes the fields, and applies their activation itself; empty: outputs of any."""

    @property
    def shape_in(self) -> tuple[int, ...]:
        """Shape of the inputs: ``(in_features,)``, or of maps, (height, width, maps)."""
        return (self.in_features,)

    @property
    def shape_out(self) -> tuple[int, ...]:
        """Shape of the outputs: ``(out_features,)``, or of maps, (height, width, maps)."""
        return (self.out_features,)

    @property
    def fan_in(self) -> int:
        """Inputs per output, for initialisation."""
        return self.in_features

    @property
    def fan_out(self) -> int:
        """Outputs per input, for initialisation."""
        return self.out_features

    @property
    def operations(self) -> int:
        """Multiplications of a forward pass per image."""
        return self.fan_in * self.out_features

    @property
    def fixed_operations(self) -> int:
        """Further multiplications of a forward pass per image, of weights that do not learn."""
        return 0

    def biases(self) -> list[nn.Parameter]:
        """Parameters that weight decay does not apply to."""
        return [self.bias]

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """``(batch, in_features)`` -> ``(batch, out_features)``."""

    @torch.no_grad()
    def limit_norms(self, max_norm: float) -> None:
        """Rescale each output's incoming weights to norm ``max_norm`` if they exceed it.

        The factor ``1 / max(1, norm / max_norm)`` is exactly 1 below the limit, so that such weights keep their bits.
        """
        norms = torch.linalg.vector_norm(self.weight, dim=-1, keepdim=True)
        self.weight.mul_(norms.div_(max_norm).clamp_(min=1.0).reciprocal_())

    def copy_member(self, number: int, layer: Any) -> None:
        """Copy the parameters of member ``number`` of a group into ``layer``."""
        raise SettingError(f"{type(self).__name__} is one layer, not a group of them.")


class Linear(WeightLayer, nn.Linear):  # type: ignore[misc]  # nn.Linear calls its weight a Tensor
    """:class:`torch.nn.Linear` that can compute its products in bfloat16 or TF32 in training.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
    """

    kind: ClassVar[str] = "linear"
    options: ClassVar[tuple[str, ...]] = ("in_features", "out_features")
    precisions: ClassVar[tuple[str, ...]] = ("float32", "bf16", "tf32")

    @classmethod
    def holding(cls, weight: Tensor, bias: Tensor) -> "Linear":
        """A layer with copies of ``weight`` ``(n_outputs, n_inputs)`` and ``bias`` ``(n_outputs,)``."""
        layer = cls(weight.shape[1], weight.shape[0], device=weight.device, dtype=weight.dtype)
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """``x @ W^T + b``, ``(batch, n_inputs)`` -> ``(batch, n_outputs)``."""
        if self.precision != "float32" and self.training:
            return REDUCED[self.precision].apply(x, self.weight, self.bias)  # type: ignore[no-any-return]
        with faster_products(x.numel() * self.out_features):
            return F.linear(x, self.weight, self.bias)

    @classmethod
    def group(cls, members: Sequence[Any]) -> Any:
        """See :class:`LinearGroup`. Subclasses are refused: they may compute something else."""
        return LinearGroup(members) if cls is Linear else super().group(members)


class LinearGroup(WeightLayer):
    """Linear layers of a group: weights ``(members, n_outputs, n_inputs)``, biases ``(members, 1, n_outputs)``.

    Args:
        layers: one layer for each member; their parameters are copied.
    """

    precisions: ClassVar[tuple[str, ...]] = Linear.precisions

    def __init__(self, layers: Sequence[Linear]) -> None:
        super().__init__()
        self.in_features, self.out_features = layers[0].in_features, layers[0].out_features
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]).unsqueeze(1))

    def forward(self, x: Tensor) -> Tensor:
        """``x @ W^T + b`` of each member, ``(members, batch, n_inputs)`` -> ``(members, batch, n_outputs)``."""
        if self.precision != "float32" and self.training:
            return REDUCED[self.precision].apply(x, self.weight, self.bias)  # type: ignore[no-any-return]
        with faster_products(x.numel() * self.out_features):
            return GroupProducts.apply(x, self.weight, self.bias)  # type: ignore[no-any-return]

    @torch.no_grad()
    def copy_member(self, number: int, layer: Linear) -> None:
        """Copy parameters and precision of member ``number`` into ``layer``."""
        layer.weight.copy_(self.weight[number])
        layer.bias.copy_(self.bias[number, 0])
        layer.precision = self.precision


class GroupProducts(torch.autograd.Function):
    """Linear layers of a group in float32, whose gradients lie in memory as their weights do.

    Those of :func:`torch.baddbmm` lie transposed and are copied when they are accumulated: a fifth of the time of ten
    networks 64-200-200-200-10 with minibatches of 20. Shapes are those of :class:`LinearGroup`.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """``x @ W^T + b``."""
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias, x, weight.mT)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        """Gradients of inputs, weights and biases."""
        x, weight = ctx.saved_tensors
        to_inputs = gradient @ weight if ctx.needs_input_grad[0] else None
        return to_inputs, gradient.mT @ x, gradient.sum(1, keepdim=True)


class Bfloat16Linear(torch.autograd.Function):
    """A linear layer whose three products multiply bfloat16 numbers, accumulate in float32 and round once to bfloat16.

    Inputs, outputs, weights and gradients are float32. In a group all shapes have the members as first dimension, and
    biases are ``(members, 1, n_outputs)``.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """``x @ W^T + b``."""
        x16, weight16 = x.bfloat16(), weight.bfloat16()
        ctx.save_for_backward(x16, weight16)
        return torch.add(x16 @ weight16.mT, bias)  # bfloat16 plus float32 gives float32

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        """Gradients of inputs, weights and biases."""
        x16, weight16 = ctx.saved_tensors
        gradient16 = gradient.bfloat16()
        to_inputs = (gradient16 @ weight16).float() if ctx.needs_input_grad[0] else None
        to_bias = gradient.sum(-2, keepdim=gradient.dim() > 2)
        return to_inputs, (gradient16.mT @ x16).float(), to_bias


class TF32Linear(torch.autograd.Function):
    """A linear layer whose three products round their float32 factors to TF32, on a GPU.

    A function of its own, because the setting must hold in the backward pass too, and for this layer alone. Shapes are
    those of :class:`Bfloat16Linear`.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """``x @ W^T + b``."""
        ctx.save_for_backward(x, weight)
        with TF32():
            return F.linear(x, weight, bias) if x.dim() == 2 else torch.baddbmm(bias, x, weight.mT)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        """Gradients of inputs, weights and biases."""
        x, weight = ctx.saved_tensors
        with TF32():
            to_inputs = gradient @ weight if ctx.needs_input_grad[0] else None
            to_weight = gradient.mT @ x
        return to_inputs, to_weight, gradient.sum(-2, keepdim=gradient.dim() > 2)


REDUCED: dict[str, Any] = {"bf16": Bfloat16Linear, "tf32": TF32Linear}
"""The function of each precision other than float32."""
