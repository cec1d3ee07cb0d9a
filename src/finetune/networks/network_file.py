"""The file of a fine-tuned network: one safetensors file with a JSON header, independent of the run's configuration.

The header holds ``blocks`` (kind and options of layer and normalisation, activation, dropout), ``code``, ``task``,
``classes`` and ``inputs`` (how stored images become features); the tensors are the parameters and the running averages
of normalisation, ``blocks.<k>.<name>``, and ``inputs.offset``, ``inputs.factor``. Reading it executes no code and
imports no module.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dbn.data.scaling import Scaling
from dbn.errors import ModelFileError
from dbn.models.linear import WeightLayer
from dbn.models.model_file import header_errors, read_model, write_model
from finetune.networks.network import Network, NetworkBlock
from finetune.networks.normalisation import Normalisation

FORMAT = "layerwise-network/1"
KEY = "network"
"""Metadata key of the header."""


@dataclass(frozen=True)
class TrainedNetwork:
    """A network from a file, in evaluation mode, with its scaling, task and classes.

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


def write_network(path: Path | str, network: Network, scaling: Scaling, *, task: str, classes: Sequence[str]) -> None:
    """Write a network's file atomically.

    Args:
        path: of the file.
        network: a single network.
        scaling: how stored images become features.
        task: ``classifier`` or ``autoencoder``.
        classes: a name for each label.
    """
    header = {
        "format": FORMAT,
        "blocks": [
            {
                "layer": block.layer.spec(),
                "normalisation": None if block.normalisation is None else block.normalisation.spec(),
                "activation": block.activation,
                "dropout": block.dropout.probability,
            }
            for block in network.blocks
        ],
        "code": network.code,
        "task": task,
        "classes": list(classes),
        "inputs": scaling.header(),
    }
    write_model(Path(path), KEY, header, {**network.state_dict(), **scaling.tensors()})


def read_network(path: Path | str) -> TrainedNetwork:
    """Read a network's file.

    Example:
        >>> from dbn.data import digits, load_data
        >>> from finetune.networks.network import Network
        >>> data = load_data(digits())
        >>> network, labels = Network.dense([64, 20, 10]), data.classes
        >>> write_network("network.safetensors", network, data.scaling, task="classifier", classes=labels)
        >>> trained = read_network("network.safetensors")
        >>> trained.network(trained.scaling.features(data.test.pixels)).shape
        torch.Size([360, 10])

    Raises:
        ModelFileError: the file is missing, is no network's, or its header does not match its tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"{path}: there is no such network. dbn-finetune writes one as network.safetensors.")
    header, tensors = read_model(path, KEY, "a network", (FORMAT,), "dbn-finetune writes one.")
    with header_errors(path):
        scaling = Scaling.from_file(header["inputs"], tensors)
        blocks = [
            NetworkBlock(WeightLayer.create(block["layer"], "layer"), block["activation"], block["dropout"])
            for block in header["blocks"]
        ]
        for block, described in zip(blocks, header["blocks"], strict=True):
            if (wanted := described.get("normalisation")) is not None:  # files of older versions have none
                block.normalisation = Normalisation.create(wanted, "normalisation", block.layer.out_features)
        network = Network(blocks, header["code"])
        network.to(next(iter(tensors.values())).dtype).load_state_dict(tensors)
        task, classes = header["task"], tuple(header["classes"])
    return TrainedNetwork(network.eval(), scaling, task, classes)
