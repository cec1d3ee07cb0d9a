"""A new layer of two layers of units and a connection, as the settings of a layer say."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch

from dbn.data.images import ImageSet
from dbn.models.connections import make_connection
from dbn.models.unit_pair import UnitPair
from dbn.models.units import make_units
from dbn.pretraining.settings import LayerSettings

Pair = TypeVar("Pair", bound=UnitPair)


def new_unit_pair(
    kind: type[Pair],
    input_type: str | Mapping[str, Any],
    input_shape: Sequence[int],
    settings: LayerSettings,
    generator: torch.Generator | None,
    images: ImageSet | None,
) -> Pair:
    """An untrained layer of class ``kind``, see :meth:`dbn.pretraining.method.PretrainingMethod.new_layer`."""
    connection = make_connection(settings.connection, input_shape, settings.n_hidden, "stack.every_layer.connection")
    visible = make_units(connection.units_of_visible(input_type), input_shape, "stack.visible")
    of_hidden = connection.units_of_hidden(settings.hidden, settings.pool)
    hidden = make_units(of_hidden, connection.hidden_shape, "stack.every_layer.hidden")
    if generator is not None:
        connection.initialise(settings.weight_std, generator)
    if images is not None and settings.bias_from_data:
        visible.initialise_bias(images.mean())
    return kind(visible, hidden, connection)
