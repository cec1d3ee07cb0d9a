"""What the units of higher layers look for, as pictures: inputs that excite them most, and sums of filters."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from dbn.data import DataSet
from dbn.pretraining.pictures import MOST, filters
from dbn.random.streams import stream
from dbn.settings import check_number
from finetune.networks.network import Network

STEPS, RESTARTS = 100, 3
"""Of gradient ascent: steps, and starting points for each unit."""
MEAN_NORM_OF = 1000
"""Images that say how long an input is."""


def features_of(network: Network, data: DataSet, n_units: int, seed: int) -> dict[str, np.ndarray]:
    """What the first units of every layer above the first look for; the first layer's filters say it themselves.

    Of an autoencoder, the layers up to the code. For a DBN, :func:`finetune.networks.initialise.unroll` it.

    Args:
        network: as it is in use.
        data: for the shape of an image and its usual norm.
        n_units: hidden units of each layer; of a classifier's output layer, all (at most 64).
        seed: the run's.

    Returns:
        ``maximised_layer<k>`` and ``combined_layer<k>`` (``maximised_output``, ``combined_output``), float32
        ``(units, channels, height, width)`` each: inputs of the norm that images have on average, and sums of filters.
    """
    norm = float(data.train.sample(MEAN_NORM_OF).norm(dim=1).mean())
    n_layers = len(network.blocks)
    pictures = {}
    for layer in range(2, (network.code or n_layers) + 1):
        name = "output" if layer == n_layers else f"layer{layer}"
        n = min(network.sizes[layer], MOST if layer == n_layers else n_units)
        generator = stream(seed, "features", layer)
        maximised = maximise(network, layer, torch.arange(n), norm=norm, generator=generator)
        pictures[f"maximised_{name}"] = filters(maximised.T, data.shape)
        pictures[f"combined_{name}"] = filters(combine(network, layer, torch.arange(n)).T, data.shape)
    return pictures


def check_features(n_units: int) -> None:
    """Raise :class:`SettingError` unless ``features`` is a number of units that pictures are kept of."""
    check_number("features", n_units, low=0, high=MOST, whole=True)


def start_and_end_pictures(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Pictures of :func:`features_of` under the names they are kept by, ``features_<name>_start`` and ``_end``."""
    return {
        f"features_{name}_{when}": pictures[name]
        for name in after
        for when, pictures in (("start", before), ("end", after))
    }


def field(network: Network, x: Tensor, layer: int) -> Tensor:
    """What the units of a layer receive, their bias included and before their activation.

    Args:
        network: a single one.
        x: inputs ``(batch, sizes[0])``.
        layer: 1 is the first hidden one, ``len(sizes) - 1`` the output layer.

    Returns:
        ``(batch, sizes[layer])``.
    """
    *below, last = network.blocks[:layer]
    for block in below:
        x = block(x)
    return last.field(x)


def maximise(
    network: Network,
    layer: int,
    units: Tensor,
    *,
    norm: float,
    steps: int = STEPS,
    restarts: int = RESTARTS,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Inputs of a given norm that excite units most: gradient ascent on the sphere, the best of several starts.

    :math:`x \leftarrow \rho\,(x + \eta_t \rho\,g / \lVert g \rVert) / \lVert \cdot \rVert` where :math:`g` is the
    gradient of the unit's field, which sigmoid, tanh and ReLU grow with, and :math:`\eta_t` goes down from 1 to almost
    0 along a line. Of one unit's starting points and steps the input with the largest field is kept.

    Args:
        network: a single one; dropout as in use.
        layer: 1 is the first hidden one.
        units: numbers of units, ``(k,)``.
        norm: of the inputs, :math:`\rho`.
        steps: of gradient ascent.
        restarts: starting points for each unit, drawn evenly from the sphere.
        generator: source of the starting points (default: torch's global one).

    Returns:
        ``(k, sizes[0])``.

    References:
        Erhan, Bengio, Courville & Vincent (2009), *Visualizing higher-layer features of a deep network*, section 3.1.
    """
    k, n_features = len(units), network.sizes[0]
    columns = units.repeat(restarts)
    weight = network.layers[0].weight
    x = torch.randn(restarts * k, n_features, generator=generator).to(weight)
    x *= norm / x.norm(dim=1, keepdim=True)
    best, best_field = x.clone(), x.new_full((len(x),), -torch.inf)
    training, learning = network.training, [parameter.requires_grad for parameter in network.parameters()]
    network.eval().requires_grad_(False)
    try:
        for step in range(steps + 1):
            x.requires_grad_(True)
            with torch.enable_grad():
                fields = field(network, x, layer).gather(1, columns[:, None])[:, 0]
                (gradient,) = torch.autograd.grad(fields.sum(), x)
            x = x.detach()
            better = fields.detach() > best_field
            best[better], best_field[better] = x[better], fields.detach()[better]
            # A unit that nothing reaches, above dead ReLUs, has no gradient: it stays where it is.
            length = gradient.norm(dim=1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
            x = x + (1 - step / (steps + 1)) * norm * gradient / length
            x *= norm / x.norm(dim=1, keepdim=True)
    finally:
        network.train(training)
        for parameter, was in zip(network.parameters(), learning, strict=True):
            parameter.requires_grad_(was)
    winner = best_field.reshape(restarts, k).argmax(0)
    return best.reshape(restarts, k, n_features)[winner, torch.arange(k)]


@torch.no_grad()
def combine(network: Network, layer: int, units: Tensor) -> Tensor:
    r"""Sums of first-layer filters with the weights that lead to each unit: rows of :math:`W_k \cdots W_2 W_1`.

    What the unit looks for if everything below it were linear; it costs one product.

    Args:
        network: a single one.
        layer: 1 is the first hidden one.
        units: numbers of units, ``(k,)``.

    Returns:
        ``(k, sizes[0])``.

    References:
        Lee, Ekanadham & Ng (2008); Erhan et al. (2009), section 3.3.
    """
    layers = network.layers
    rows = layers[layer - 1].weight[units]
    for below in reversed(layers[: layer - 1]):
        rows = rows @ below.weight
    return rows
