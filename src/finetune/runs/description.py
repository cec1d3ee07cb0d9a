"""A network's layers, shapes, parameters and cost, before it is trained."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from rich.console import Console
from rich.table import Table

from dbn.data.shapes import info_of
from dbn.errors import SettingError
from dbn.machine.model_memory import check_memory
from dbn.models import flops
from dbn.models.convolution_layer import Convolution2d
from dbn.models.linear import Linear
from dbn.pretraining.from_config import layers_of, untrained_of
from dbn.pretraining.stack_memory import check_stack_memory
from dbn.settings import check_number, format_value
from finetune.networks.block import NetworkBlock, in_words
from finetune.networks.network import Network
from finetune.runs.check_config import check_finetuning
from finetune.runs.starting_networks import (
    build_network,
    check_pictures,
    given_stack,
    has_written_blocks,
    network_options,
)


def describe(config: Mapping[str, Any]) -> Network:
    """The untrained network of a configuration: by ``sizes`` if given, otherwise by stack, data and task.

    Raises:
        SettingError: an invalid setting, such as ``sizes`` of fewer than two layers.
    """
    if config["sizes"] is None:
        check_finetuning(config)
        data = info_of(config["data"])
        if has_written_blocks(config):
            return build_network(data, config, [])
        if config["init"].get("stack") is not None:
            stack = given_stack(config["init"]["stack"], data)
            network = build_network(data, config, [stack[k] for k in range(len(stack))])
            check_pictures(network, data)
            return network
        check_stack_memory(layers_of(config["stack"]), data.shape)
        return build_network(data, config, untrained_of(config, data))
    check_sizes(config["sizes"])
    return Network.dense(config["sizes"], **network_options(config))


def check_sizes(sizes: Any) -> None:
    """Raise :class:`SettingError` unless ``sizes`` is null or the units of a network's layers."""
    if sizes is None:
        return
    if not isinstance(sizes, Sequence) or isinstance(sizes, str) or len(sizes) < 2:
        raise SettingError(
            f"sizes={format_value(sizes)}: give the units of every layer, inputs first: sizes=[3,2,2,3]."
        )
    for size in sizes:
        check_number("sizes", size, low=1, whole=True)
    parameters = sum(below * above + above for below, above in pairwise(sizes))
    check_memory("sizes", f"layers of {'-'.join(map(str, sizes))} units", parameters)


def show(network: Network) -> None:
    """Print the layers with their sizes and cost, how each computes its outputs, and totals."""
    console = Console()
    console.print(sizes_table(network), parts_table(network))
    weights = sum(layer.weight.numel() for layer in network.layers)
    biases = sum(layer.bias.numel() for layer in network.layers)
    total = sum(parameter.numel() for parameter in network.parameters())
    others = f", {total - weights - biases:,} scales and shifts" if total > weights + biases else ""
    console.print(f"{weights:,} weights, {biases:,} biases{others}, {total:,} parameters", highlight=False)
    forward, training = flops.forward(network.operations), flops.backpropagation(network.operations)
    console.print(f"{forward:,} operations for an image, {training:,} to train on it once", highlight=False)


def sizes_table(network: Network) -> Table:
    """For each layer its kind, shapes of inputs and units, parameters, and multiplications for an image."""
    table = Table(title="-".join(map(in_words, network.shapes)), collapse_padding=True)
    for head in ("layer", "kind", "inputs", "units", "weights", "biases", "multiplications"):
        table.add_column(head, justify="left" if head in ("layer", "kind") else "right")
    for name, block in _named(network):
        layer = block.layer
        kind = "dense" if layer.kind == Linear.kind else layer.kind
        counts = (layer.weight.numel(), layer.bias.numel(), layer.operations)
        shapes = (_shape(layer.shape_in), _shape(layer.shape_out))
        table.add_row(name, kind, *shapes, *(f"{n:,}" for n in counts))
    return table


def parts_table(network: Network) -> Table:
    """For each layer its filters and pooling, if the network has any, normalisation, activation and dropout."""
    table = Table(collapse_padding=True)
    maps = ("filters", "pool") if network.is_convolutional else ()
    for head in ("layer", *maps, "normalisation", "activation", "dropout of inputs"):
        whole = head in ("pool", "normalisation")  # others may be broken where a terminal is narrow
        table.add_column(head, justify="right" if head.startswith("dropout") else "left", no_wrap=whole)
    for name, block in _named(network):
        normalisation = "none" if block.normalisation is None else block.normalisation.kind
        own = (_filters(block), _pool(block)) if maps else ()
        table.add_row(name, *own, normalisation, str(block.activation), f"{block.dropout.probability:g}")
    return table


def _named(network: Network) -> list[tuple[str, NetworkBlock]]:
    """The blocks, with the names of their layers."""
    last = len(network.blocks)
    return [("output" if k == last else f"hidden {k}", block) for k, block in enumerate(network.blocks, start=1)]


def _shape(shape: Sequence[int]) -> str:
    """``28x28x6`` of maps, ``1,000`` of units without space."""
    return in_words(shape) if len(shape) > 1 else f"{shape[0]:,}"


def _filters(block: NetworkBlock) -> str:
    """``5x5, padding 2`` of a convolution, and its stride where it is not 1."""
    layer = block.layer
    if not isinstance(layer, Convolution2d):
        return ""
    words = [f"{layer.kernel}x{layer.kernel}"]
    words += [f"stride {layer.stride}"] if layer.stride != 1 else []
    words += [f"padding {layer.padding}"] if layer.padding else []
    return ", ".join(words)


def _pool(block: NetworkBlock) -> str:
    """``max 3x3, stride 2``: kind, size of blocks, and their stride where they overlap or leave units out."""
    pooling = block.pooling
    if pooling is None:
        return "none" if len(block.layer.shape_out) > 1 else ""
    stride = getattr(pooling, "stride", None)
    words = [f"{pooling.kind} {pooling.size}x{pooling.size}"]
    words += [] if stride in (None, pooling.size) else [f"stride {stride}"]
    return ", ".join(words)
