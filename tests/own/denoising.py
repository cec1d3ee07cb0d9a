"""A pretraining method of one's own: a denoising autoencoder with tied weights (Vincent et al. 2008)."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dbn.data.blocks import Minibatch
from dbn.fitting.processes import add_gradients
from dbn.models.layer import Layer
from dbn.models.linear import Linear
from dbn.pretraining import LayerTraining, PretrainingMethod
from dbn.random.noise import uniform


class DenoisingLayer(Layer):
    """Sigmoid encoder ``x W + c`` and decoder ``h W^T + b``."""

    kind: ClassVar[str] = "denoising"

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_inputs, n_outputs))
        self.b, self.c = nn.Parameter(torch.zeros(n_inputs)), nn.Parameter(torch.zeros(n_outputs))

    input_shape = property(lambda self: tuple(self.b.shape))
    output_shape = property(lambda self: tuple(self.c.shape))
    operations = property(lambda self: self.weight.numel())
    input_type = output_type = property(lambda self: "bernoulli")

    def weights(self) -> list[nn.Parameter]:
        return [self.weight]

    def up(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x @ self.weight + self.c)

    def down(self, h: Tensor) -> Tensor:
        return torch.sigmoid(h @ self.weight.T + self.b)

    def encoder(self) -> tuple[Linear, Any]:
        return Linear.holding(self.weight.T, self.c), "sigmoid"

    def decoder(self) -> tuple[Linear, Any]:
        return Linear.holding(self.weight, self.b), "sigmoid"

    def description(self) -> dict[str, Any]:
        return {"kind": self.kind, "sizes": list(self.weight.shape)}

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> "DenoisingLayer":
        return cls(*description["sizes"])


class DenoisingTraining(LayerTraining):
    """Cross-entropy of the reconstruction of the clean image from one with pixels set to zero."""

    layer: DenoisingLayer

    def __init__(self, layer: DenoisingLayer, settings: Any, corruption: float, **options: Any) -> None:
        super().__init__(layer, settings, **{**options, "precision": "float32"})
        self.corruption = corruption

    @property
    def flops(self) -> int:
        return 6 * 2 * self.layer.operations

    def minibatch_step(self, batch: Minibatch, optimizer: Any) -> None:
        assert batch.labels is not None
        assert len(batch.labels) == len(batch.features)
        kept = batch.features * (uniform(batch.features, self.generator) >= self.corruption)
        field = self.layer.up(kept) @ self.layer.weight.T + self.layer.b
        loss = F.binary_cross_entropy_with_logits(field, batch.features, reduction="sum") / batch.count
        optimizer.zero_grad()
        loss.backward()
        add_gradients(self.layer)
        optimizer.step()

    def metrics_of(self, member: DenoisingLayer, train: Tensor, validation: Tensor | None) -> dict[str, float]:
        return {"reconstruction_error": float((member.down(member.up(train)) - train).square().sum(1).mean())}


class Denoising(PretrainingMethod):
    """Layers of denoising autoencoders."""

    def __init__(self, corruption: float = 0.3) -> None:
        self.corruption = corruption

    def new_layer(
        self, input_type: Any, input_shape: Any, settings: Any, *, generator: Any = None, images: Any = None
    ) -> DenoisingLayer:
        layer = DenoisingLayer(torch.Size(input_shape).numel(), settings.n_hidden)
        if generator is not None:
            with torch.no_grad():
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * settings.weight_std)
        return layer

    def training(self, layer: DenoisingLayer, settings: Any, **options: Any) -> DenoisingTraining:
        return DenoisingTraining(layer, settings, self.corruption, **options)
