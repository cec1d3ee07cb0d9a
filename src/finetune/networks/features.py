"""Visualisation of the features of higher layers: activation maximisation, and linear combination of filters."""

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
"""Gradient ascent: number of steps, and of starting points for each unit."""
MEAN_NORM_OF = 1000
"""Number of images whose mean norm is that of the maximised inputs."""


def features_of(network: Network, data: DataSet, n_units: int, seed: int) -> dict[str, np.ndarray]:
    """Pictures of the features of the first units of each layer above the first (whose filters are pictures).

    For an autoencoder, the layers up to the code. For a DBN, use :func:`finetune.networks.unrolling.unroll` first.

    Args:
        network: a single network.
        data: gives the shape of an image and the mean norm of images.
        n_units: number of units of each hidden layer; of a classifier's output layer all units are used (at most 64).
        seed: the run's seed.

    Returns:
        ``maximised_layer<k>`` and ``combined_layer<k>`` (``maximised_output``, ``combined_output``), float32
        ``(units, channels, height, width)`` each, from :func:`maximise` and :func:`combine`.
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
    """Raise :class:`SettingError` unless ``features`` is a valid number of units."""
    check_number("features", n_units, low=0, high=MOST, whole=True)


def start_and_end_pictures(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Pictures of :func:`features_of` before and after training, as ``features_<name>_start`` and ``_end``."""
    return {
        f"features_{name}_{when}": pictures[name]
        for name in after
        for when, pictures in (("start", before), ("end", after))
    }


def field(network: Network, x: Tensor, layer: int) -> Tensor:
    """Pre-activations of the units of a layer (field plus bias).

    Args:
        network: a single network.
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
    r"""Inputs of a given norm that maximise the units' activation, by gradient ascent on the sphere with restarts.

    :math:`x \leftarrow \rho\,(x + \eta_t \rho\,g / \lVert g \rVert) / \lVert \cdot \rVert` where :math:`g` is the
    gradient of the unit's pre-activation, and :math:`\eta_t` falls linearly from 1 towards 0. Returns the input with
    the largest pre-activation of all starting points and steps.

    Args:
        network: a single network, used in evaluation mode.
        layer: 1 is the first hidden one.
        units: numbers of units, ``(k,)``.
        norm: of the inputs, :math:`\rho`.
        steps: of gradient ascent.
        restarts: starting points for each unit, drawn uniformly from the sphere.
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
            # The gradient is zero above dead ReLUs: x is then unchanged.
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
    r"""Linear combinations of first-layer filters: the units' rows of :math:`W_k \cdots W_2 W_1`.

    This is the feature of a unit if all layers below were linear. A normalised layer's units enter with their slopes.

    Args:
        network: a single network.
        layer: 1 is the first hidden one.
        units: numbers of units, ``(k,)``.

    Returns:
        ``(k, sizes[0])``.

    References:
        Lee, Ekanadham & Ng (2008); Erhan et al. (2009), section 3.3.
    """
    rows = network.layers[layer - 1].weight[units]
    for below in reversed(network.blocks[: layer - 1]):
        slopes = rows if below.normalisation is None else rows * below.normalisation.slope
        rows = slopes @ below.layer.weight
    return rows
