"""The network's layer of weights, its matrix products in float32 or bfloat16."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dbn.products import faster_products


class Linear(nn.Linear):
    """:class:`torch.nn.Linear` whose products may be taken in bfloat16 while it trains.

    Attributes:
        precision: ``float32`` or ``bf16``. In evaluation mode every product is in float32.
    """

    precision: str = "float32"

    def forward(self, x: Tensor) -> Tensor:
        """``x @ W^T + b``, ``(batch, n_inputs)`` -> ``(batch, n_outputs)``."""
        if self.precision == "bf16" and self.training:
            output: Tensor = Bfloat16Linear.apply(x, self.weight, self.bias)
            return output
        with faster_products(x.numel() * self.out_features):
            return F.linear(x, self.weight, self.bias)


class Bfloat16Linear(torch.autograd.Function):
    """A linear layer whose three products multiply bfloat16 numbers, add up in float32 and are rounded once.

    Inputs, outputs, weights and gradients are float32 for everyone else. Networks that train together have the members
    as first dimension of everything, and biases ``(members, 1, n_outputs)``.
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
