"""The network of a deep Boltzmann machine, whose first layer sees the mean-field means beside the image."""

from collections.abc import Sequence

import torch

from dbn.errors import SettingError
from dbn.models.dbm import DBM
from dbn.models.dbm_layer import tied
from dbn.models.dbn import DBN
from dbn.models.layer import Layer
from dbn.models.linear import Linear, WeightLayer
from dbn.models.mean_field_layer import MeanFieldLinear
from dbn.models.unit_pair import UnitPair
from finetune.networks.network import Network

NETWORK = "network=mean_field"


def with_mean_field_input(layers: Sequence[Layer]) -> list[WeightLayer]:
    """Hidden layers of the network of a deep Boltzmann machine, with weights to be set.

    Args:
        layers: of a stack, of which only the shapes count.

    Raises:
        SettingError: they are not two dense ones.
    """
    shapes = [layer.input_shape for layer in layers[:1]] + [layer.output_shape for layer in layers]
    if len(layers) != 2 or not all(isinstance(layer, UnitPair) for layer in layers) or any(map(_has_maps, layers)):
        raise SettingError(
            f"{NETWORK}: the network of a deep Boltzmann machine is that of one with two dense hidden layers, such as "
            "stack.layers=[500,1000]. Use that, or network=from_stack, which unrolls any number of layers."
        )
    pixels, first, second = (torch.Size(shape).numel() for shape in shapes)
    return [MeanFieldLinear(pixels, first, second), Linear(first, second)]


def _has_maps(layer: Layer) -> bool:
    return len(layer.output_shape) > 1


def has_mean_field_input(network: Network) -> bool:
    """Whether the network's first layer sees mean-field means."""
    return isinstance(network.layers[0], MeanFieldLinear)


@torch.no_grad()
def unroll_dbm(stack: DBN, network: Network) -> None:
    """Replace the parameters of a network's two hidden layers by those of a deep Boltzmann machine.

    The first layer then computes a further step of inference, the second one another.

    Args:
        stack: of the machine's layers, or of doubled ones to become one.
        network: of the same sizes.

    Raises:
        SettingError: the stack is of something else, or of other sizes or units.

    References:
        Salakhutdinov & Hinton (2009), section 3.3 and figure 3.
    """
    first, second = network.layers[0], network.layers[1]
    assert isinstance(first, MeanFieldLinear)
    sizes = [first.in_features, first.out_features, first.above]
    if stack.sizes != sizes:
        raise SettingError(
            f"A stack of {'-'.join(map(str, stack.sizes))} units does not fit a network of {'-'.join(map(str, sizes))} "
            "hidden units: choose the stack that the network's sizes come from (stack=...)."
        )
    dbm = DBM.of_layers(tied([stack[k] for k in range(len(stack))]))
    for number in (1, 2):
        if dbm[number].activation != network.blocks[number - 1].activation or dbm[number].activation != "sigmoid":
            raise SettingError(
                f"stack.every_layer.hidden={dbm[number].kind}: {NETWORK} infers means of binary hidden units. Use "
                "bernoulli, with network.activation=sigmoid."
            )
    below, between = dbm.connection(1).weight, dbm.connection(2).weight
    first.weight.copy_(torch.cat([below.T, between], 1))
    first.bias.copy_(dbm[1].bias)
    second.weight.copy_(between.T)
    second.bias.copy_(dbm[2].bias)


def start_inference(network: Network) -> None:
    """Have the first layer infer by the machine of the network's starting weights, where it sees mean-field means."""
    first = network.layers[0]
    if isinstance(first, MeanFieldLinear):
        first.infer_by(network.layers[1])
