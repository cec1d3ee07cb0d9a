"""Unrolling a pretrained stack: its layers become the hidden layers of a network."""

from dbn.errors import SettingError
from dbn.models.activations import Activation
from dbn.models.dbn import DBN
from dbn.models.linear import WeightLayer
from dbn.models.pooling import Pooling
from dbn.models.units import BernoulliWithLabel
from dbn.settings import format_value
from finetune.networks.block import NetworkBlock, in_words
from finetune.networks.mean_field_input import has_mean_field_input, unroll_dbm
from finetune.networks.network import Network


def unroll(stack: DBN, network: Network) -> None:
    """Replace a network's layers by a stack's encoders, and in an autoencoder by its decoders in reverse order, too.

    The network then computes the stack's mean-field pass in every layer. The decoder of an RBM has the transposed
    weights and the visible biases; encoder and decoder are separate parameters.

    Args:
        stack: the pretrained stack.
        network: its first hidden layers must have the stack's sizes and activations; in an autoencoder the further
            layers mirror them.

    Raises:
        SettingError: sizes, shapes, pooling or activations do not match.

    References:
        Hinton & Salakhutdinov (2006), Science 313:504, figure 1.
    """
    if has_mean_field_input(network):
        unroll_dbm(stack, network)
        return
    depth = len(stack)
    mirrored = [*stack.sizes, *reversed(stack.sizes[:-1])]
    if network.sizes[: depth + 1] != stack.sizes or (network.code is not None and network.sizes != mirrored):
        raise SettingError(
            f"A stack of {'-'.join(map(str, stack.sizes))} units does not fit a network of "
            f"{'-'.join(map(str, network.sizes))}: choose the stack that the network's sizes come from (stack=...)."
        )
    encoders = [stack[k].encoder() for k in range(depth)]
    decoders = [stack[k].decoder() for k in reversed(range(depth))] if network.code is not None else []
    parts = [*encoders, *decoders]
    for number, (block, (layer, activation)) in enumerate(zip(network.blocks, parts, strict=False), start=1):
        above = network.blocks[number].layer.units_below if number < len(network.blocks) else ()
        if block.activation != activation and activation not in above and number < len(network.blocks):
            if activation == BernoulliWithLabel.activation:
                raise SettingError(
                    "The stack's top layer is a class RBM, whose hidden units depend on the label: no network computes "
                    "them. Use network=class_rbm, which classifies by its free energies."
                )
            if isinstance(activation, str) and activation not in Activation.registry:
                raise SettingError(
                    f"stack.every_layer.hidden={activation}: the mean of such units is no activation of a network. "
                    "Pretrain with stack.every_layer.hidden=relu, say, or give another classifier the features of the "
                    "stack: dbn-features."
                )
            cure = (
                "Give the stack's top layer hidden: gaussian, and a learning_rate that such units bear, as in "
                "'stack.layers=[200,{n_hidden:30,hidden:gaussian,learning_rate:0.001}]'"
                if number == network.code
                else f"Use network.activation={activation} with init=dbn"
            )
            raise SettingError(
                f"network.activation={block.activation}: hidden layer {number} was pretrained with {activation} units, "
                f"and weights learned for those mean nothing to {block.activation} units. {cure}, or a random "
                "initialisation (init=he)."
            )
        if number <= depth:
            check_maps(block, layer, stack[number - 1].pooling, number)
        block.layer = layer


def check_maps(block: NetworkBlock, layer: WeightLayer, pooling: Pooling | None, number: int) -> None:
    """Check that a hidden block lays its units out and pools them as a stack's layer does.

    Raises:
        SettingError: it does not.
    """
    cure = "Use network=from_stack, whose blocks are the stack's layers, or a random initialisation (init=he)."
    if block.layer.shape_out != layer.shape_out:
        raise SettingError(
            f"Hidden layer {number} of the network has the shape {in_words(block.layer.shape_out)}, that of the stack "
            f"{in_words(layer.shape_out)}. {cure}"
        )
    own, wanted = (None if each is None else each.spec() for each in (block.pooling, pooling))
    if own != wanted:
        raise SettingError(
            f"pool={format_value(own)}: hidden layer {number} was pretrained with pool={format_value(wanted)}, and its "
            f"weights are those of units pooled so. {cure}"
        )
