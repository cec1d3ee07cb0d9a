"""One block of a network: dropout, weights, normalisation and activation."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from dbn.models.activations import Activation
from dbn.models.linear import WeightLayer
from finetune.networks.dropout import Dropout
from finetune.networks.normalisation import Normalisation


class NetworkBlock(nn.Module):
    """One block of a network: dropout of its inputs, a layer of weights, maybe normalisation, an activation.

    Args:
        layer: the layer of weights.
        activation: kind, such as ``"sigmoid"``, or kind and options, see :mod:`dbn.models.activations`.
        dropout: probability of dropping an input.
        normalisation: of the fields; None: none.

    Shape:
        ``(batch, layer.in_features)`` -> ``(batch, layer.out_features)``.
    """

    def __init__(
        self,
        layer: WeightLayer,
        activation: str | Mapping[str, Any],
        dropout: float,
        normalisation: Normalisation | None = None,
    ) -> None:
        super().__init__()
        self.layer = layer
        self.normalisation = normalisation
        self.activation = activation
        self.function: Activation = Activation.create(activation, "network.activation")
        self.dropout = Dropout(dropout)

    def field(self, x: Tensor) -> Tensor:
        """Pre-activations of the units (field plus bias, normalised), ``(batch, layer.out_features)``."""
        field: Tensor = self.layer(self.dropout(x))
        return field if self.normalisation is None else self.normalisation(field)

    def forward(self, x: Tensor) -> Tensor:
        """Dropout, weights, normalisation, activation."""
        return self.function(self.field(x))

    def extra_repr(self) -> str:
        """The activation, for ``print(network)``."""
        return str(self.activation)


Blocks = Sequence[NetworkBlock]
"""Type of a network's ModuleList of blocks."""
