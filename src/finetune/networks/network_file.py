"""The file of a fine-tuned network: one safetensors file with a JSON header, loaded without its run's configuration.

The header holds ``blocks`` (layer with type and options, activation, dropout of its inputs), ``code``, ``task``,
``classes`` and ``inputs`` (how stored images become features); the tensors are the parameters, ``blocks.<k>.<name>``,
and ``inputs.offset``, ``inputs.factor``. Reading one executes nothing and imports nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbn.data.scaling import Scaling
from dbn.errors import ModelFileError, SettingError
from dbn.models.linear import WeightLayer
from dbn.models.model_file import HEADER_ERRORS, read_model, write_model
from finetune.networks.network import Network, NetworkBlock

FORMAT = "layerwise-network/1"
KEY = "network"
"""Of the header among the file's metadata."""


@dataclass(frozen=True)
class TrainedNetwork:
    """A network from a file, in evaluation mode, with what is needed to use it.

    Attributes:
        network: ``(n, n_features)`` -> logits, or reconstructions before their activation.
        scaling: how stored images become features.
        task: ``classifier`` or ``autoencoder``.
        classes: a name for each output of a classifier.
    """

    network: Network
    scaling: Scaling
    task: str
    classes: tuple[str, ...]


def write_network(path: Path, network: Network, scaling: Scaling, *, task: str, classes: Sequence[str]) -> None:
    """Write a network's file in one step.

    Args:
        path: where to.
        network: a single one.
        scaling: how stored images become features.
        task: ``classifier`` or ``autoencoder``.
        classes: a name for each label.
    """
    header = {
        "format": FORMAT,
        "blocks": [
            {"layer": block.layer.spec(), "activation": block.activation, "dropout": block.dropout.probability}
            for block in network.blocks
        ],
        "code": network.code,
        "task": task,
        "classes": list(classes),
        "inputs": scaling.header(),
    }
    write_model(path, KEY, header, {**network.state_dict(), **scaling.tensors()})


def read_network(path: Path | str) -> TrainedNetwork:
    """Read a network's file.

    Raises:
        ModelFileError: the file is missing, is no network's, or does not hold what its header says.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"{path}: there is no such network. dbn-finetune writes one as network.safetensors.")
    header, tensors = read_model(path, KEY, "a network", (FORMAT,), "dbn-finetune writes one.")
    try:
        scaling = Scaling.from_file(header["inputs"], tensors)
        network = Network([_block(block) for block in header["blocks"]], header["code"])
        network.to(next(iter(tensors.values())).dtype).load_state_dict(tensors)
        return TrainedNetwork(network.eval(), scaling, header["task"], tuple(header["classes"]))
    except SettingError as error:  # of a type of one's own
        raise ModelFileError(f"{path}: {error} Import the module of a type of your own before loading.") from error
    except HEADER_ERRORS as error:
        raise ModelFileError(f"{path}: the header does not fit the tensors ({error}). Write the file again.") from error


def _block(described: dict[str, Any]) -> NetworkBlock:
    return NetworkBlock(WeightLayer.create(described["layer"], "layer"), described["activation"], described["dropout"])
