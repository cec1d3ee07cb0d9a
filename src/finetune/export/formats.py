"""The formats of export: each makes the content of a file from an exported network."""

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from dbn.errors import SettingError
from finetune.export.exported_network import ExportedNetwork

INPUT = "images"
"""Name of the exported network's input."""
PACKAGES = ("onnx", "onnxscript")
"""Packages that torch needs to write ONNX."""


def onnx_file(network: ExportedNetwork, images: torch.Tensor, description: Mapping[str, str]) -> bytes:
    """An ONNX model, with input ``images``, output named as :attr:`ExportedNetwork.output`, and description.

    Args:
        network: to export.
        images: an example of its input; the first dimension may have any size.
        description: metadata of the model.

    Raises:
        SettingError: packages are missing, or the network has operations that ONNX does not know.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise SettingError(
            f"format=onnx: it needs {' and '.join(missing)}. Install them with pip install 'layerwise-dbn[export]', or "
            "use format=torch_export."
        )
    with _translated(network), _quiet():
        program: Any = torch.onnx.export(
            network, (images,), dynamo=True, dynamic_shapes=_dynamic(), input_names=[INPUT],
            output_names=[network.output], verbose=False,
        )  # fmt: skip
    program.model.metadata_props.update(description)
    program.model.producer_name = "layerwise-dbn"
    content: bytes = program.model_proto.SerializeToString()
    return content


def torch_export_file(network: ExportedNetwork, images: torch.Tensor, description: Mapping[str, str]) -> bytes:
    """A program of ``torch.export``, with ``description.json`` among its extra files; arguments as above."""
    with _translated(network), _quiet():
        program = torch.export.export(network, (images,), dynamic_shapes=_dynamic(), strict=False)
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={"description.json": json.dumps(dict(description))})
    return content.getvalue()


FORMATS: dict[str, tuple[str, Callable[[ExportedNetwork, torch.Tensor, Mapping[str, str]], bytes]]] = {
    "onnx": (".onnx", onnx_file),
    "torch_export": (".pt2", torch_export_file),
}
"""Suffix of the file and function that makes its content, for each format."""


def _dynamic() -> dict[str, Any]:
    """The number of images is left open."""
    return {INPUT: {0: torch.export.Dim("batch", min=1)}}


@contextmanager
def _translated(network: nn.Module) -> Iterator[None]:
    """Say which network cannot be exported.

    Raises:
        SettingError: the exporter failed.
    """
    try:
        yield
    except (RuntimeError, NotImplementedError, torch.onnx.errors.OnnxExporterError) as error:
        kinds = sorted({type(part).__name__ for part in network.modules()})
        raise SettingError(
            f"This network cannot be exported: {error}. It is made of {', '.join(kinds)}; a layer, normalisation or "
            "activation of your own must consist of tensor operations that do not depend on their values."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' notes on their own progress."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
