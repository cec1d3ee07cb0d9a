"""Convolutional networks for tests, and the same built from torch's own modules on pictures (batch, channels, ...)."""

from typing import Any

import torch
from torch import Tensor, nn

from dbn.models.convolution_layer import Convolution2d
from dbn.models.linear import Linear
from dbn.models.pooling import MaxPooling
from finetune.networks.network import Network

SHAPE = (2, 9, 10)
"""Channels, height and width of the images."""
N_FEATURES = 2 * 9 * 10


def network_of(**options: Any) -> Network:
    """Two convolutions with pooling, the second in overlapping blocks, and two dense layers; weights from N(0, 0.3)."""
    first = Convolution2d(SHAPE, maps=5, kernel=3, padding=1, maps_first=True)
    pool = MaxPooling(first.output_shape, 2)
    second = Convolution2d(pool.output_shape, maps=4, kernel=2)
    overlapping = MaxPooling(second.output_shape, 2, 1)
    n = torch.Size(overlapping.output_shape).numel()
    network = Network.of_layers(
        [first, second, Linear(n, 6), Linear(6, 3)], poolings=[pool, overlapping, None, None], **options
    )
    generator = torch.Generator().manual_seed(options.get("seed", 0))
    with torch.no_grad():
        for layer in network.layers:
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * 0.3)
            layer.bias.copy_(torch.randn(layer.bias.shape, generator=generator) * 0.1)
    return network


def dense_on_maps(layer: Any, shape: tuple[int, int, int]) -> Tensor:
    """Weights of a dense layer above maps (height, width, maps), for inputs in torch's order (maps, height, width)."""
    weight: Tensor = layer.weight.detach().unflatten(1, shape).permute(0, 3, 1, 2).flatten(1)
    return weight


def of_torch(network: Network, between: Any = lambda number: ()) -> nn.Sequential:
    """The network of :func:`network_of` from torch's modules; ``between(number)``: between convolution and pooling."""
    parts: list[nn.Module] = []
    first, second, third, last = network.layers
    for number, (layer, pool) in enumerate(((first, nn.MaxPool2d(2)), (second, nn.MaxPool2d(2, 1))), start=1):
        assert isinstance(layer, Convolution2d)
        channels = layer.weight.shape[1]
        convolution = nn.Conv2d(channels, layer.maps, layer.kernel, layer.stride, layer.padding)
        convolution.weight.data.copy_(layer.weight.detach())
        convolution.bias.data.copy_(layer.bias.detach())  # type: ignore[union-attr]
        parts += [convolution, *between(number), pool]
    dense = nn.Linear(third.in_features, third.out_features)
    dense.weight.data.copy_(dense_on_maps(third, network.blocks[1].pooling.output_shape))  # type: ignore[union-attr]
    dense.bias.data.copy_(third.bias.detach())
    output = nn.Linear(last.in_features, last.out_features)
    output.load_state_dict(last.state_dict())
    return nn.Sequential(*parts, nn.Flatten(), dense, nn.ReLU(), output)


def images(n: int = 7, seed: int = 5) -> torch.Tensor:
    return torch.rand(n, N_FEATURES, generator=torch.Generator().manual_seed(seed))


def pictures(x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(1, SHAPE)
