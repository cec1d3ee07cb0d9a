"""The label of a class RBM in a network that classifies by free energy: where its weights come from, and back."""

from pathlib import Path

import torch
from torch import Tensor

from dbn.data.images import ImageSet
from dbn.data.scaling import Scaling
from dbn.models.connections import Dense
from dbn.models.dbn import DBN
from dbn.models.free_energy import FreeEnergy
from dbn.models.model_file import DBN_FILE
from dbn.models.rbm import RBM
from dbn.models.units import BernoulliWithLabel, make_units
from finetune.networks.network import Network

STARTED_BY = 10_000
"""Number of training images from whose means the biases of visible units start."""


@torch.no_grad()
def copy_label(stack: DBN, network: Network) -> bool:
    """Copy the label's weights and biases of a stack's class RBM into the output layer; returns whether it has some.

    The biases of the top RBM's visible units are copied in any case, where the network has such units.
    """
    top, output = stack[len(stack) - 1], network.layers[-1]
    if not isinstance(output, FreeEnergy) or not isinstance(top, RBM):
        return False
    if output.visible is not None:
        output.visible.load_state_dict(top.visible.state_dict())
    hidden = top.hidden
    if not isinstance(hidden, BernoulliWithLabel) or hidden.n_labels != output.out_features:
        return False
    output.weight.copy_(hidden.label_weight)
    output.bias.copy_(hidden.label_bias)
    return True


@torch.no_grad()
def start_visible(network: Network, images: ImageSet) -> None:
    """Set the biases of a class RBM's visible units to what training images look like to it, where it has such units.

    Args:
        network: with its initial weights, which are random.
        images: training images.
    """
    output = network.layers[-1]
    if isinstance(output, FreeEnergy) and output.visible is not None:
        training = network.training
        network.eval()
        output.visible.initialise_bias(below_class_rbm(network, images.sample(STARTED_BY)).mean(0).cpu())
        network.train(training)


def below_class_rbm(network: Network, x: Tensor) -> Tensor:
    """What a class RBM at the end of a network sees of inputs ``(batch, n_inputs)``: ``(batch, n_visible)``."""
    for block in list(network.blocks)[:-2]:
        x = block(x)
    return x


def save_class_rbm(network: Network, scaling: Scaling, directory: Path) -> None:
    """Write the class RBM that a network is as a DBN file as well, for samples, where :func:`class_rbm_in` is one."""
    rbm = class_rbm_in(network)
    if rbm is not None:
        DBN([rbm], scaling).save(directory / DBN_FILE)


def class_rbm_in(network: Network) -> RBM | None:
    """A copy of the class RBM that is a network with one hidden layer, or None where it is more or less than that."""
    output = network.layers[-1]
    if len(network.blocks) != 2 or not isinstance(output, FreeEnergy) or output.visible is None:
        return None
    layer = network.layers[0]
    rbm = RBM(
        make_units(output.visible.spec(), output.visible.shape),
        BernoulliWithLabel(layer.out_features, output.out_features),
        Dense((layer.in_features,), layer.out_features),
    ).to(output.weight)
    hidden = rbm.hidden
    assert isinstance(hidden, BernoulliWithLabel)
    with torch.no_grad():
        rbm.weight.copy_(layer.weight.T)
        hidden.bias.copy_(layer.bias)
        hidden.label_weight.copy_(output.weight)
        hidden.label_bias.copy_(output.bias)
        rbm.visible.load_state_dict(output.visible.state_dict())
    return rbm
