"""Model files: one safetensors file with a JSON header. Reading one executes no code and imports no module.

A DBN file, format 2: the header holds ``layers`` (types, shapes and options of units and connection), ``inputs`` (how
stored images become features) and ``description`` (training settings, data, version); the tensors are the layers'
parameters, ``layers.<k>.<name>``, and ``inputs.offset``, ``inputs.factor``. Format 1 is still read: dense RBMs whose
units have no options, without ``inputs``.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor, nn

from dbn.data.scaling import Scaling
from dbn.errors import ModelFileError, SettingError
from dbn.files import write_bytes
from dbn.models.layer import Layer

FORMAT, FORMAT_1 = "layerwise-dbn/2", "layerwise-dbn/1"
KEY = "dbn"
"""Metadata key of the header."""
DBN_FILE = "dbn.safetensors"
"""Name of the file in a run's directory."""


def write_stack(path: Path, layers: Sequence[Layer], scaling: Scaling | None, description: Mapping[str, Any]) -> None:
    """Write a DBN file atomically."""
    header = {
        "format": FORMAT,
        "layers": [layer.description() for layer in layers],
        "inputs": None if scaling is None else scaling.header(),
        "description": description,
    }
    tensors = {f"layers.{name}": tensor for name, tensor in nn.ModuleList(layers).state_dict().items()}
    write_model(path, KEY, header, {**tensors, **({} if scaling is None else scaling.tensors())})


def read_stack(path: Path) -> tuple[list[Layer], Scaling | None, dict[str, Any]]:
    """Layers, scaling and header of a DBN file.

    Raises:
        ModelFileError: the file is missing, is no DBN file, or its header does not match its tensors.
    """
    if not path.is_file():
        raise ModelFileError(f"{path}: there is no such DBN file. dbn-pretrain writes one as {DBN_FILE}.")
    header, tensors = read_model(path, KEY, "a DBN", (FORMAT, FORMAT_1), "DBN.save writes one.")
    with header_errors(path):
        if header["format"] == FORMAT_1:
            header = from_format_1(header)
            tensors = {renamed_from_format_1(name): tensor for name, tensor in tensors.items()}
        inputs = header["inputs"]
        scaling = None if inputs is None else Scaling.from_file(inputs, tensors)
        layers = [Layer.resolve(own["kind"], "layer")[0].from_description(own) for own in header["layers"]]
        stack = nn.ModuleDict({"layers": nn.ModuleList(layers)}).to(next(iter(tensors.values())).dtype)
        stack.load_state_dict(tensors)
    return layers, scaling, header


@contextmanager
def header_errors(path: Path) -> Iterator[None]:
    """Convert errors in building a model from a header and tensors.

    Raises:
        ModelFileError: a user-defined type is not registered, or the header does not match the tensors.
    """
    try:
        yield
    except SettingError as error:
        raise ModelFileError(f"{path}: {error} Import the module of a type of your own before loading.") from error
    except (IndexError, KeyError, TypeError, ValueError, RuntimeError, StopIteration, AttributeError) as error:
        raise ModelFileError(f"{path}: the header does not fit the tensors ({error}). Write the file again.") from error


def from_format_1(header: Mapping[str, Any]) -> dict[str, Any]:
    """Header of format 2 from one of format 1; ``format`` stays that of the file."""
    sizes = header["sizes"]
    layers = [
        {
            "kind": "rbm",
            "visible": kinds["visible"],
            "hidden": kinds["hidden"],
            "connection": "dense",
            "visible_shape": [below],
            "hidden_shape": [above],
        }
        for kinds, below, above in zip(header["layers"], sizes[:-1], sizes[1:], strict=True)
    ]
    return {**header, "layers": layers, "inputs": None}


def renamed_from_format_1(name: str) -> str:
    """``rbms.0.weight`` -> ``layers.0.connection.weight``, ``rbms.0.hidden.bias`` -> ``layers.0.hidden.bias``."""
    return name.replace("rbms.", "layers.", 1).replace(".weight", ".connection.weight")


def write_model(path: Path, key: str, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write tensors and a JSON header atomically.

    Args:
        path: of the file.
        key: metadata key of the header.
        header: plain JSON.
        tensors: by name; copied to the CPU.
    """
    on_cpu: dict[str, Tensor] = {}
    known: set[int] = set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        on_cpu[name] = own.clone() if own.data_ptr() in known else own  # layers may share units
        known.add(own.data_ptr())
    write_bytes(path, serialise(on_cpu, metadata={key: json.dumps(header, allow_nan=False)}))


def read_model(
    path: Path, key: str, what: str, formats: Sequence[str], writer: str
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors of a model file.

    Args:
        path: of the file.
        key: metadata key of the header.
        what: kind of model, for messages.
        formats: accepted values of the header's ``format``.
        writer: sentence for the message that names what writes such a file.

    Raises:
        ModelFileError: it cannot be read, or has another format.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(key, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelFileError(
            f"{path}: not readable as {what} file ({error}). It may be cut short: write it again."
        ) from error
    if not isinstance(header, dict) or header.get("format") not in formats:
        raise ModelFileError(f"{path}: a safetensors file, but not {what} ({formats[0]}). {writer}")
    return header, tensors


__all__ = ["Scaling", "read_model", "read_stack", "write_model", "write_stack"]
