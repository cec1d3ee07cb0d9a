"""Visualisation of the features of higher layers: activation maximisation, and linear combination of filters."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dbn.data import DataSet
from dbn.models.linear import Linear
from dbn.models.maps import as_pictures, flattened
from dbn.models.pooling import MaxPooling, Pooling
from dbn.pretraining.pictures import MOST, filters
from dbn.random.streams import stream
from dbn.settings import check_number
from finetune.networks.block import NetworkBlock
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
        n_units: number of units of each hidden layer, of a convolutional one of maps, of which the unit in the middle
            is shown; of a classifier's output layer all units are used (at most 64).
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
        units = units_shown(network.shapes[layer], MOST if layer == n_layers else n_units)
        generator = stream(seed, "features", layer)
        maximised = maximise(network, layer, units, norm=norm, generator=generator)
        pictures[f"maximised_{name}"] = filters(maximised.T, data.shape)
        pictures[f"combined_{name}"] = filters(combine(network, layer, units).T, data.shape)
    return pictures


def units_shown(shape: Sequence[int], most: int) -> Tensor:
    """Numbers of the units whose features are shown: the first ones; of maps those in the middle of the first maps."""
    *space, n = shape
    middle = 0
    for side in space:
        middle = middle * side + side // 2
    return middle * n + torch.arange(min(n, most))


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
        ``(batch, sizes[layer])``, after pooling; without a normalisation of responses, which follows the activation.
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
    Of pooled units, all in a block have the same share: which of them is the largest depends on the image.

    Args:
        network: a single network.
        layer: 1 is the first hidden one.
        units: numbers of units, ``(k,)``.

    Returns:
        ``(k, sizes[0])``.

    References:
        Lee, Ekanadham & Ng (2008); Erhan et al. (2009), section 3.3.
    """
    top = network.blocks[layer - 1]
    rows = to_inputs(top, F.one_hot(units, top.out_features).to(top.layer.weight), slopes=False)
    for below in reversed(network.blocks[: layer - 1]):
        rows = to_inputs(below, rows)
    return rows


def to_inputs(block: NetworkBlock, rows: Tensor, *, slopes: bool = True) -> Tensor:
    """Weights of a block's outputs, ``(k, out_features)``, as weights of its inputs, ``(k, layer.in_features)``.

    Args:
        block: taken as linear.
        rows: to pass down.
        slopes: whether the units' normalisation counts.
    """
    layer, pooling = block.layer, block.pooling
    if pooling is not None:
        rows = transposed(lambda x: mean_of_blocks(x, pooling), layer.out_features, rows)
    if slopes and block.normalisation is not None:
        slope = block.normalisation.slope.to(rows)
        rows = (rows.unflatten(1, (-1, len(slope))) * slope).flatten(1)
    return rows @ layer.weight if isinstance(layer, Linear) else transposed(layer, layer.in_features, rows)


def transposed(function: Callable[[Tensor], Tensor], n_inputs: int, rows: Tensor) -> Tensor:
    """Product of ``rows`` with the Jacobian of ``function`` at zero, ``(k, n_outputs)`` -> ``(k, n_inputs)``."""
    with torch.enable_grad():
        x = rows.new_zeros(len(rows), n_inputs, requires_grad=True)
        (found,) = torch.autograd.grad(function(x), x, rows)
    return found


def mean_of_blocks(x: Tensor, pooling: Pooling) -> Tensor:
    """What pooling would be if all units of a block counted the same; that of exponentials is so at equal fields."""
    if not isinstance(pooling, MaxPooling):
        return pooling(x)
    return flattened(F.avg_pool2d(as_pictures(x, pooling.shape), pooling.size, pooling.stride))
