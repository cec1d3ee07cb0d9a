"""A new layer of two layers of units and a connection, as the settings of a layer say."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from dbn.data.image_weights import sum_of_rows, total_weight, weighted_chunks
from dbn.data.images import ImageSet
from dbn.errors import SettingError
from dbn.models.connections import make_connection
from dbn.models.unit_pair import UnitPair
from dbn.models.units import Units, make_units
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
        std = connection.glorot_std if isinstance(settings.weight_std, str) else settings.weight_std
        connection.initialise(std, generator)
    check_variance_from_data(visible, settings)
    if images is not None:
        initialise_from_data(visible, settings, images)
    return kind(visible, hidden, connection)


def check_variance_from_data(visible: Units, settings: LayerSettings) -> None:
    """Check that the visible units have what ``variance_from_data`` initialises.

    Raises:
        SettingError: they learn no variance.
    """
    if settings.variance_from_data and not visible.learns_variance:
        raise SettingError(
            f"stack.every_layer.variance_from_data=true: {visible.kind} visible units learn no variance. Use "
            "variance_from_data=false for such layers, +stack.upper_layers.variance_from_data=false for all above the "
            "first, or stack.visible=gaussian_with_variance."
        )


def initialise_from_data(visible: Units, settings: LayerSettings, images: ImageSet) -> None:
    """Initialise what the settings say of the visible units from the images as they see them."""
    if settings.bias_from_data:
        visible.initialise_bias(images.mean())
    if settings.variance_from_data:
        mean = images.mean()
        visible.initialise_variance(mean, variance_of(images, mean))


def variance_of(images: ImageSet, mean: Tensor) -> Tensor:
    """Variance of every feature about its ``mean`` ``(n_features,)`` by the images' weights: ``(n_features,)`` float32.

    The divisor is the sum of the weights, which is the number of images where they have none.
    """
    squares = torch.zeros(images.n_features, dtype=torch.float64, device=mean.device)
    for chunk, weights in weighted_chunks(images):
        squares += sum_of_rows((chunk - mean.double()).square(), weights)
    return (squares / total_weight(images)).float()
