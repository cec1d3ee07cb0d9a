"""The command ``dbn-describe``: layers, shapes, parameters and cost of a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from dbn import flops
from dbn.command import plain, run_command
from dbn.data.shapes import facts_of
from dbn.errors import SettingError
from dbn.layers import layers_of
from dbn.memory_needed import check_memory
from dbn.settings import check_number, shown
from finetune.check_config import check_finetuning
from finetune.network import Dropout, Network
from finetune.train import build_network


@dataclass(frozen=True)
class Layer:
    """A layer of weights: its units, and what they do with their inputs."""

    n_inputs: int
    n_outputs: int
    activation: str
    dropout: float

    @property
    def weights(self) -> int:
        """Number of weights, without biases."""
        return self.n_inputs * self.n_outputs


@dataclass(frozen=True)
class Description:
    """A network in numbers."""

    layers: tuple[Layer, ...]

    @property
    def sizes(self) -> list[int]:
        """Units per layer, inputs first."""
        return [self.layers[0].n_inputs, *(layer.n_outputs for layer in self.layers)]

    @property
    def weights(self) -> int:
        """Number of weights, without biases."""
        return sum(layer.weights for layer in self.layers)

    @property
    def biases(self) -> int:
        """Number of biases: one for every unit above the inputs."""
        return sum(layer.n_outputs for layer in self.layers)


def describe(config: Mapping[str, Any]) -> Description:
    """What a configuration's network consists of: the one of its ``sizes``, or that of its stack, data and task.

    Raises:
        SettingError: ``sizes`` is not a list of at least two numbers of units.
    """
    if config["sizes"] is None:
        check_finetuning(config)
        data = facts_of(config["data"])
        hidden = [layer.n_hidden for layer in layers_of(config["stack"])]
        check_memory("stack.layers", [data.n_features, *hidden])
        return of_network(build_network(data, config, hidden))
    check_sizes(config["sizes"])
    return of_network(Network(config["sizes"], **config["network"]))


def check_sizes(sizes: Any) -> None:
    """Raise :class:`SettingError` unless ``sizes`` is null or the units of a network's layers."""
    if sizes is None:
        return
    if not isinstance(sizes, Sequence) or isinstance(sizes, str) or len(sizes) < 2:
        raise SettingError(f"sizes={shown(sizes)}: give the units of every layer, inputs first: sizes=[3,2,2,3].")
    for size in sizes:
        check_number("sizes", size, low=1, whole=True)
    check_memory("sizes", sizes)


def of_network(network: Network) -> Description:
    """What a network consists of."""
    probabilities = [dropout.probability for dropout in network.dropouts if isinstance(dropout, Dropout)]
    return Description(
        tuple(
            Layer(below, above, activation, probability)
            for (below, above), activation, probability in zip(
                pairwise(network.sizes), network.activations, probabilities, strict=True
            )
        )
    )


def show(found: Description) -> None:
    """A table of the layers, and the totals."""
    table = Table(title="-".join(map(str, found.sizes)))
    for head in ("layer", "inputs", "units", "weights", "biases", "activation", "dropout of inputs"):
        table.add_column(head, justify="left" if head in ("layer", "activation") else "right")
    for number, layer in enumerate(found.layers, start=1):
        last = number == len(found.layers)
        name = "output" if last else f"hidden {number}"
        counts = [f"{count:,}" for count in (layer.n_inputs, layer.n_outputs, layer.weights, layer.n_outputs)]
        table.add_row(name, *counts, layer.activation, f"{layer.dropout:g}")
    console = Console()
    console.print(table)
    total = found.weights + found.biases
    console.print(f"{found.weights:,} weights, {found.biases:,} biases, {total:,} parameters", highlight=False)
    forward, training = 2 * found.weights, flops.backpropagation(found.sizes)
    console.print(f"{forward:,} operations for an image, {training:,} to train on it once", highlight=False)


def main() -> None:
    """Console entry point."""
    run_command("describe", _describe)


def _describe(config: DictConfig) -> None:
    show(describe(plain(config)))


if __name__ == "__main__":
    main()
