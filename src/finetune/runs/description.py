"""A network's layers, shapes, parameters and cost, before it is trained."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from dbn.data.shapes import info_of
from dbn.errors import SettingError
from dbn.machine.model_memory import check_memory
from dbn.models import flops
from dbn.pretraining.from_config import layers_of, untrained_of
from dbn.settings import check_number, format_value
from finetune.networks.network import Network
from finetune.runs.check_config import check_finetuning
from finetune.runs.starting_networks import build_network, network_options


def describe(config: Mapping[str, Any]) -> Network:
    """The untrained network of a configuration: by ``sizes`` if given, otherwise by stack, data and task.

    Raises:
        SettingError: an invalid setting, such as ``sizes`` of fewer than two layers.
    """
    if config["sizes"] is None:
        check_finetuning(config)
        data = info_of(config["data"])
        check_memory("stack.layers", [data.n_features, *(layer.n_hidden for layer in layers_of(config["stack"]))])
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
    check_memory("sizes", sizes)


def show(network: Network) -> None:
    """Print a table of the layers, and totals."""
    table = Table(title="-".join(map(str, network.sizes)))
    texts = ("layer", "normalisation", "activation")
    for head in ("layer", "inputs", "units", "weights", "biases", "normalisation", "activation", "dropout of inputs"):
        table.add_column(head, justify="left" if head in texts else "right")
    for number, block in enumerate(network.blocks, start=1):
        layer = block.layer
        name = "output" if number == len(network.blocks) else f"hidden {number}"
        counts = (layer.in_features, layer.out_features, layer.weight.numel(), layer.bias.numel())
        kind = "none" if block.normalisation is None else block.normalisation.kind
        words = (kind, str(block.activation), f"{block.dropout.probability:g}")
        table.add_row(name, *(f"{n:,}" for n in counts), *words)
    console = Console()
    console.print(table)
    weights = sum(layer.weight.numel() for layer in network.layers)
    biases = sum(layer.bias.numel() for layer in network.layers)
    total = sum(parameter.numel() for parameter in network.parameters())
    others = f", {total - weights - biases:,} scales and shifts" if total > weights + biases else ""
    console.print(f"{weights:,} weights, {biases:,} biases{others}, {total:,} parameters", highlight=False)
    forward, training = flops.forward(network.operations), flops.backpropagation(network.operations)
    console.print(f"{forward:,} operations for an image, {training:,} to train on it once", highlight=False)
