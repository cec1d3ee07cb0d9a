"""The file of a network: one safetensors file with a JSON header, independent of the run's configuration.

The header holds ``blocks`` (kind and options of layer, normalisation and pooling, activation, dropout), ``code``, and
what inputs and outputs mean, see :class:`finetune.networks.meaning.Meaning`; the tensors are the parameters and the
running averages of normalisation, ``blocks.<k>.<name>``, and those of the meaning. Reading it executes no code and
imports no module; the types of the package are registered here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from dbn.errors import ModelFileError
from dbn.models.convolution_layer import Convolution2d
from dbn.models.free_energy import FreeEnergy
from dbn.models.linear import WeightLayer
from dbn.models.mean_field_layer import MeanFieldLinear
from dbn.models.model_file import header_errors, read_model, write_model
from dbn.models.pooling import Pooling
from finetune.networks.block import NetworkBlock
from finetune.networks.meaning import Meaning
from finetune.networks.normalisation import Normalisation
from finetune.networks.response_normalisation import ResponseNormalisation

FORMAT, FORMAT_1 = "layerwise-network/2", "layerwise-network/1"
KEY = "network"
"""Metadata key of the header."""
NETWORK_FILE = "network.safetensors"
"""Name of the file in a run's directory."""


def write_network_file(
    path: Path, blocks: Sequence[NetworkBlock], code: int | None, state: Mapping[str, Tensor], meaning: Meaning
) -> None:
    """Write a network's file atomically.

    Args:
        path: of the file.
        blocks: of the network, inputs first.
        code: number of the hidden block that is an autoencoder's code, or None.
        state: the network's tensors by name.
        meaning: of its inputs and outputs.
    """
    header = {
        "format": FORMAT,
        "blocks": [
            {
                "layer": block.layer.spec(),
                "normalisation": None if block.normalisation is None else block.normalisation.spec(),
                "pooling": None if block.pooling is None else block.pooling.spec(),
                "activation": block.activation,
                "dropout": block.dropout.probability,
            }
            for block in blocks
        ],
        "code": code,
        **meaning.header(),
    }
    write_model(path, KEY, header, {**state, **meaning.tensors()})


def read_network_file(path: Path) -> tuple[list[NetworkBlock], int | None, dict[str, Tensor], Meaning]:
    """Blocks with weights to be set, number of the code, tensors by name, and meaning, from a network's file.

    Raises:
        ModelFileError: the file is missing, is no network's, or its header does not match its tensors.
    """
    if not path.is_file():
        raise ModelFileError(f"{path}: there is no such network. dbn-finetune writes one as {NETWORK_FILE}.")
    header, tensors = read_model(path, KEY, "a network", (FORMAT, FORMAT_1), "dbn-finetune writes one.")
    with header_errors(path):
        meaning = Meaning.from_file(header, tensors)
        return [_block(described) for described in header["blocks"]], header["code"], tensors, meaning


def _block(described: Mapping[str, Any]) -> NetworkBlock:
    """A block with weights to be set. Files of older versions have neither normalisation nor pooling."""
    layer: WeightLayer = WeightLayer.create(described["layer"], "layer")
    normalisation, pooling = described.get("normalisation"), described.get("pooling")
    return NetworkBlock(
        layer,
        described["activation"],
        described["dropout"],
        None if normalisation is None else Normalisation.of_layer(normalisation, "normalisation", layer),
        None if pooling is None else Pooling.create(pooling, "pooling", layer.shape_out),
    )


__all__ = [
    "Convolution2d",
    "FreeEnergy",
    "MeanFieldLinear",
    "ResponseNormalisation",
    "read_network_file",
    "write_network_file",
]
