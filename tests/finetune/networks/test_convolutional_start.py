"""Starting weights of convolutional networks: from a stack, or random."""

from typing import Any

import pytest
import torch
from torch import nn

from convolutional_networks import network_of
from dbn.errors import SettingError
from dbn.models.convolution_layer import Convolution2d
from dbn.models.dbn import DBN
from dbn.models.linear import Linear
from dbn.models.pooling import MaxPooling
from dbn.pretraining import LayerSettings, RBMPretraining
from dbn.pretraining.growing import untrained_layers
from finetune.networks.initialise import (
    FirstLayers,
    Glorot,
    He,
    Initialisation,
    Marginals,
    Normal,
    Orthogonal,
)
from finetune.networks.network import Network
from finetune.networks.unrolling import unroll


def test_orthogonal_filters() -> None:
    network = network_of()
    Orthogonal(2.0)(network, 3)
    for layer in network.layers:
        matrix = layer.weight.detach().double().flatten(1)
        smaller = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
        torch.testing.assert_close(smaller, 4 * torch.eye(len(smaller), dtype=torch.float64), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("initialise", "deviation"),
    [
        (He(), (2 / (40 * 25)) ** 0.5),
        (Glorot(4.0), 4 * (2 / (40 * 25 + 60 * 25)) ** 0.5),
        (Normal(0.02), 0.02),
    ],
)
def test_filters_are_drawn_with_the_standard_deviation_of_their_fans(
    initialise: Initialisation, deviation: float
) -> None:
    layer = Convolution2d((9, 9, 40), maps=60, kernel=5)
    network = Network.of_layers([layer, Linear(layer.out_features, 2)])
    initialise(network, 0)
    n = layer.weight.numel()
    standard_error = deviation / (2 * n) ** 0.5
    weight = layer.weight.detach()
    assert abs(float(weight.std()) - deviation) < 4 * standard_error
    assert abs(float(weight.mean())) < 4 * deviation / n**0.5
    assert not layer.bias.any()


def stack_of_maps(pool: int | None = 2, hidden: str = "bernoulli") -> DBN:
    """One convolutional RBM and a dense one, with weights."""
    layers = [
        LayerSettings(
            n_hidden=3, connection={"kind": "convolution", "kernel": 3, "padding": 1}, pool=pool, hidden=hidden
        ),
        LayerSettings(n_hidden=4, hidden=hidden),
    ]
    stack = DBN(untrained_layers(RBMPretraining(), layers, "bernoulli", (1, 6, 6)))
    for layer in stack:
        nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(0))
    return stack


def network_for(stack: DBN, activation: str = "sigmoid", **changes: Any) -> Network:
    """The network of a stack's shape, with other weights; ``changes`` of its first layer and pooling."""
    first = Convolution2d((1, 6, 6), maps=3, kernel=3, padding=1, maps_first=True)
    pooling = changes.get("pooling", stack[0].pooling)
    second = Linear(stack.sizes[1], 4)
    return Network.of_layers(
        [changes.get("first", first), second, Linear(4, 2)], activation=activation, poolings=[pooling, None, None]
    )


def test_an_unrolled_stack_is_the_stack_at_every_layer() -> None:
    for pool, hidden in ((2, "bernoulli"), (None, "bernoulli"), (3, "relu")):
        stack = stack_of_maps(pool, hidden)
        network = network_for(stack, "relu" if hidden == "relu" else "sigmoid")
        unroll(stack, network)
        x = torch.rand(5, 36, generator=torch.Generator().manual_seed(1))
        for layer, own in enumerate(network.eval().hidden(x)[:-1], start=1):
            torch.testing.assert_close(own, stack.up(x, layer), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pooling": MaxPooling((6, 6, 3), 2)}, r"pool=.*max.*pretrained with pool=.*probabilistic.*from_stack"),
        (
            {
                "first": Convolution2d((1, 6, 6), maps=12, kernel=3, stride=2, padding=1, maps_first=True),
                "pooling": None,
            },
            "shape 3x3x12",
        ),
        ({"activation": "relu"}, r"network.activation=relu.*sigmoid units"),
    ],
)
def test_a_network_that_is_not_the_stacks_is_refused(changes: dict[str, Any], words: str) -> None:
    stack = stack_of_maps()
    network = network_for(stack, **changes)
    if "first" in changes:  # 108 units, as many as 6x6x3, if it were not for pooling
        stack = stack_of_maps(None)
        network = Network.of_layers([changes["first"], Linear(108, 4), Linear(4, 2)])
    with pytest.raises(SettingError, match=words):
        unroll(stack, network)


def test_weights_drawn_from_the_pretrained_values_keep_their_marginals() -> None:
    stack = stack_of_maps()
    network = network_for(stack)
    Marginals()(network, 0, stack)
    (own, _), (layer, *_) = stack[0].encoder(), network.layers
    assert set(layer.weight.flatten().tolist()) <= set(own.weight.flatten().tolist())
    assert not torch.equal(layer.weight, own.weight)


def test_the_lowest_layers_may_come_from_the_stack_and_the_others_from_random_weights() -> None:
    stack = stack_of_maps(None, "relu")
    network = network_for(stack, "relu")
    FirstLayers(1)(network, 0, DBN([stack[0]]))
    assert torch.equal(network.layers[0].weight, stack[0].encoder()[0].weight)
    assert 0.5 < float(network.layers[1].weight.detach().std()) / (2 / 108) ** 0.5 < 1.5
