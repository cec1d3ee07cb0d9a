"""A network's first layer that sees, beside the image, what a deep Boltzmann machine infers of it."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dbn.models.linear import WeightLayer
from dbn.settings import check_number

STEPS = 10
"""Steps of inference: all, for every image, so that outputs do not depend on the others of a batch."""


class MeanFieldLinear(WeightLayer):
    r"""Fields :math:`v A + q_2(v) B + b` of an image and its mean-field means of a second hidden layer.

    :math:`q_2(v)` are the means of binary units of a deep Boltzmann machine of two hidden layers by
    :func:`dbn.models.mean_field.mean_field` with a fixed number of steps. Its parameters do not learn, and no gradient
    passes through it; the network may come to ignore it. With :math:`A = W_1`, :math:`B = W_2^T` the layer's
    activations are one more step of the first hidden layer's inference.

    Args:
        in_features: pixels of the image.
        out_features: units of the first hidden layer.
        above: units of the second one.
        steps: of inference.

    Attributes:
        weight: ``(out_features, in_features + above)``: of the image, then of the means.
        bias: ``(out_features,)``.
        first_weight: :math:`W_1` of the machine, ``(in_features, out_features)``, which does not learn; as
        second_weight: :math:`W_2`, ``(out_features, above)``.
        first_bias: of its first hidden units, ``(out_features,)``.
        second_bias: of its second ones, ``(above,)``.

    In a group all have the members as first dimension, and biases are ``(members, 1, n)``.

    References:
        Salakhutdinov & Hinton (2009), *Deep Boltzmann machines*, section 3.3 and figure 3.
    """

    kind: ClassVar[str] = "mean_field"
    options: ClassVar[tuple[str, ...]] = ("in_features", "out_features", "above", "steps")

    first_weight: Tensor
    second_weight: Tensor
    first_bias: Tensor
    second_bias: Tensor

    def __init__(self, in_features: int, out_features: int, above: int, steps: int = STEPS) -> None:
        super().__init__()
        check_number("steps", steps, low=1, whole=True)
        self.in_features, self.out_features, self.above, self.steps = in_features, out_features, above, steps
        self.weight = nn.Parameter(torch.zeros(out_features, in_features + above))
        self.bias = nn.Parameter(torch.zeros(out_features))
        self.register_buffer("first_weight", torch.zeros(in_features, out_features))
        self.register_buffer("second_weight", torch.zeros(out_features, above))
        self.register_buffer("first_bias", torch.zeros(out_features))
        self.register_buffer("second_bias", torch.zeros(above))

    @property
    def fan_in(self) -> int:
        """Pixels and means."""
        return self.in_features + self.above

    @property
    def fixed_operations(self) -> int:
        """Those of inference."""
        return self.out_features * (self.in_features + (1 + 2 * self.steps) * self.above)

    @torch.no_grad()
    def infer_by(self, second: WeightLayer) -> None:
        """Make the machine that of this layer's weights of the image and of those of the layer above.

        Args:
            second: of weights ``(above, out_features)``.
        """
        self.first_weight.copy_(self.weight[..., : self.in_features].mT)
        self.second_weight.copy_(second.weight.mT)
        self.first_bias.copy_(self.bias)
        self.second_bias.copy_(second.bias)

    @torch.no_grad()
    def inferred(self, x: Tensor) -> Tensor:
        """Mean-field means of the second hidden layer, ``(batch, in_features)`` -> ``(batch, above)``."""
        from_image = x @ self.first_weight
        first = torch.sigmoid(2 * from_image + self.first_bias)
        from_image = from_image + self.first_bias
        second = torch.sigmoid(first @ self.second_weight + self.second_bias)
        for _ in range(self.steps):
            first = torch.sigmoid(from_image + second @ self.second_weight.mT)
            second = torch.sigmoid(first @ self.second_weight + self.second_bias)
        return second

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, in_features)`` -> ``(batch, out_features)``."""
        return torch.cat([x, self.inferred(x)], -1) @ self.weight.mT + self.bias

    @classmethod
    def group(cls, members: Sequence[Any]) -> "MeanFieldLinear":
        """Layers of one shape as one."""
        first = members[0]
        group = cls(first.in_features, first.out_features, first.above, first.steps)
        for name in dict(first.named_buffers()):
            setattr(group, name, _stacked([getattr(own, name) for own in members]))
        for name in dict(first.named_parameters()):
            setattr(group, name, nn.Parameter(_stacked([getattr(own, name).detach() for own in members])))
        return group

    @torch.no_grad()
    def copy_member(self, number: int, layer: Any) -> None:
        """Copy the parameters of member ``number`` of a group into ``layer``."""
        for name, own in layer.state_dict().items():
            own.copy_(getattr(self, name)[number].view_as(own))


def _stacked(each: Sequence[Tensor]) -> Tensor:
    """Tensors of members as that of a group: matrices ``(members, n, m)``, vectors ``(members, 1, n)``."""
    stacked = torch.stack(list(each))
    return stacked.unsqueeze(1) if stacked.dim() == 2 else stacked
