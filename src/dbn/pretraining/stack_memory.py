"""Check that a stack fits into memory, from its settings: its layers' parameters, and the states that they compute."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dbn.data.images import images_per_chunk
from dbn.machine.model_memory import check_memory
from dbn.models.connections import Connection, Convolution
from dbn.models.convolution_layer import checked_geometry
from dbn.pretraining.from_config import CONVOLUTION
from dbn.pretraining.settings import LayerSettings
from dbn.settings import check_table

PHASES = 2
"""States of both phases are held at once."""


@dataclass(frozen=True)
class LayerSize:
    """What a layer holds.

    Attributes:
        shape_in: of its inputs; of maps (height, width, maps).
        shape: of its hidden units, likewise, before pooling.
        shape_out: of its outputs.
        weights: number of its weights.
        biases: number of its hidden units' biases.
    """

    shape_in: tuple[int, ...]
    shape: tuple[int, ...]
    shape_out: tuple[int, ...]
    weights: int
    biases: int


def layer_sizes(layers: Sequence[LayerSettings], image: Sequence[int] | None) -> list[LayerSize]:
    """Sizes of the layers of a stack.

    Args:
        layers: settings of each layer, from the data upwards.
        image: channels, height and width of an image; None: not known yet, and every picture has one pixel at least.

    Raises:
        SettingError: filters are larger than their inputs, or these are no pictures.
    """
    channels, height, width = (1, 1, 1) if image is None else image
    below: tuple[int, ...] = (height, width, channels)
    sizes: list[LayerSize] = []
    for layer in layers:
        kind, options = Connection.resolve(layer.connection, layer.key("connection"))
        if issubclass(kind, Convolution):
            filters: dict[str, Any] = {"kernel": 5, "stride": 1, "padding": 0, **options}
            filters.pop("maps_first", None)
            check_table(layer.key("connection"), filters, CONVOLUTION)
            shape = (1, 1, layer.n_hidden)
            if image is not None:
                given = below if sizes else tuple(image)
                shape = checked_geometry(
                    "connection=convolution", given, layer.n_hidden, **filters, maps_first=not sizes
                )
            pool = 1 if image is None or layer.pool is None else layer.pool
            weights = layer.n_hidden * below[-1] * filters["kernel"] ** 2
            outputs = (shape[0] // pool, shape[1] // pool, layer.n_hidden)
            sizes.append(LayerSize(below, shape, outputs, weights, layer.n_hidden))
            if 0 in outputs:
                break  # refused when layers are made
        else:
            units = (layer.n_hidden,)
            sizes.append(LayerSize(below, units, units, math.prod(below) * layer.n_hidden, layer.n_hidden))
        below = sizes[-1].shape_out
    return sizes


def check_stack_memory(layers: Sequence[LayerSettings], image: Sequence[int] | None, n_together: int = 1) -> None:
    """Refuse a stack that does not fit into this machine's memory.

    Counted are the parameters, and of the layer that computes most at once the states of a minibatch in both phases, or
    the hidden units of a chunk of images that it passes upwards.

    Args:
        layers: settings of each layer, from the data upwards.
        image: channels, height and width of an image; None: not known yet.
        n_together: number of stacks that train together.

    Raises:
        SettingError: it does not fit; or as :func:`layer_sizes`.
    """
    if not layers:
        return
    sizes = layer_sizes(layers, image)
    parameters = sum(size.weights + size.biases for size in sizes) + math.prod(sizes[0].shape_in)
    states = max(
        max(
            n_together * PHASES * layer.batch_size * (math.prod(size.shape_in) + math.prod(size.shape)),
            images_per_chunk(math.prod(size.shape_in)) * math.prod(size.shape) if image is not None else 0,
        )
        for layer, size in zip(layers, sizes, strict=False)
    )
    if image is None:
        words = f"{'-'.join(str(layer.n_hidden) for layer in layers)} units or maps"
    else:
        shapes = [sizes[0].shape_in, *(size.shape for size in sizes)]
        words = f"{'-'.join('x'.join(map(str, shape)) for shape in shapes)} units"
    check_memory(
        "stack.layers",
        f"layers of {words}",
        parameters,
        states,
        n_together=n_together,
        advice="Take fewer units or maps, smaller images, or smaller minibatches.",
    )
