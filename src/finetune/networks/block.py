"""One block of a network: dropout, weights, normalisation, pooling and activation."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dbn.errors import SettingError
from dbn.models.activations import Activation
from dbn.models.linear import WeightLayer
from dbn.models.pooling import MaxPooling, Pooling
from finetune.networks.dropout import Dropout
from finetune.networks.normalisation import Normalisation


class NetworkBlock(nn.Module):
    """One block of a network: dropout of its inputs, a layer of weights, normalisation, pooling, an activation.

    Normalisation and pooling are of the fields, before the activation, except for a normalisation of responses, which
    follows the activation and precedes the pooling.

    Args:
        layer: the layer of weights.
        activation: kind, such as ``"sigmoid"``, or kind and options, see :mod:`dbn.models.activations`.
        dropout: probability of dropping an input.
        normalisation: of the fields, or of the responses; None: none.
        pooling: of the units of ``layer``; None: none.

    Raises:
        SettingError: the pooling is of units of another shape, or is of fields that the normalisation leaves no more.

    Shape:
        ``(batch, layer.in_features)`` -> ``(batch, out_features)``.
    """

    def __init__(
        self,
        layer: WeightLayer,
        activation: str | Mapping[str, Any],
        dropout: float,
        normalisation: Normalisation | None = None,
        pooling: Pooling | None = None,
    ) -> None:
        super().__init__()
        self.layer = layer
        self.normalisation = normalisation
        self.activation = activation
        self.function: Activation = Activation.create(activation, "network.activation")
        self.dropout = Dropout(dropout)
        self.pooling = pooling
        if pooling is not None and tuple(pooling.shape) != tuple(layer.shape_out):
            raise SettingError(
                f"pool: it is for maps of {in_words(pooling.shape)}, and the layer's units are "
                f"{in_words(layer.shape_out)}. Make the pooling for the layer's shape_out."
            )
        late = normalisation is not None and normalisation.of_responses
        if late and pooling is not None and not isinstance(pooling, MaxPooling):
            assert normalisation is not None
            raise SettingError(
                f"network.normalisation={normalisation.kind}: it follows the activation, and pool={pooling.kind} needs "
                "the fields before it. Use normalisation=batch or normalisation=layer, or maximum pooling: of "
                "rectified units, arm=conv_dbn_relu, or in network.blocks pool={kind: max, size: 2}."
            )

    @property
    def shape_out(self) -> tuple[int, ...]:
        """Shape of the outputs: ``(n,)``, or of maps, (height, width, maps), after pooling."""
        return self.layer.shape_out if self.pooling is None else self.pooling.output_shape

    @property
    def out_features(self) -> int:
        """Number of outputs."""
        return torch.Size(self.shape_out).numel()

    def units_field(self, x: Tensor) -> Tensor:
        """Field plus bias of the units of the layer, after dropout of the inputs, ``(batch, layer.out_features)``."""
        field: Tensor = self.layer(self.dropout(x))
        return field

    def field(self, x: Tensor) -> Tensor:
        """Pre-activations of the outputs, ``(batch, out_features)``: field plus bias, normalised, pooled."""
        field = self.units_field(x)
        if self.normalisation is not None and not self.normalisation.of_responses:
            field = self.normalisation(field)
        return field if self.pooling is None else self.pooling(field)

    def forward(self, x: Tensor) -> Tensor:
        """Dropout, weights, normalisation, pooling, activation."""
        return outputs_of(self.units_field(x), self.normalisation, self.pooling, self.function)

    def extra_repr(self) -> str:
        """The activation and the pooling, for ``print(network)``."""
        return str(self.activation) if self.pooling is None else f"{self.activation}, pool={self.pooling.spec()}"


Blocks = Sequence[NetworkBlock]
"""Type of a network's ModuleList of blocks."""


def outputs_of(
    field: Tensor, normalisation: Normalisation | None, pooling: Pooling | None, function: Activation
) -> Tensor:
    """Outputs of a block from its units' fields plus biases.

    Args:
        field: ``(batch, n)``, in a group ``(members, batch, n)``.
        normalisation: of the fields or responses; None: none.
        pooling: of the units; None: none.
        function: the activation.
    """
    if normalisation is not None and normalisation.of_responses:
        responses: Tensor = normalisation(function(field))
        return responses if pooling is None else pooling(responses)
    if normalisation is not None:
        field = normalisation(field)
    return function(field if pooling is None else pooling(field))


def in_words(shape: Sequence[int]) -> str:
    """``28x28x6`` of maps, ``120`` of units without space."""
    return "x".join(map(str, shape))
