"""Export of a run's network, with its model card."""

import json
import logging
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch

from dbn.errors import SettingError
from dbn.files import write_bytes, write_text
from dbn.settings import check_choice
from finetune.export.exported_network import ExportedNetwork
from finetune.export.formats import FORMATS
from finetune.export.model_card import model_card
from finetune.networks.network import Network
from finetune.networks.network_file import NETWORK_FILE

log = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "uint8": torch.uint8}
"""Types that an exported network's images may have."""


@dataclass(frozen=True)
class Exported:
    """The files of an export."""

    network: Path
    card: Path


def export_network(
    run: str | Path,
    output: str | Path | None = None,
    *,
    format: str = "onnx",  # noqa: A002 (its name on the command line)
    dtype: str = "float32",
    license: str | None = None,  # noqa: A002 (likewise)
    overwrite: bool = False,
) -> Exported:
    """Write a trained network with its scaling in a format that other software reads, and a model card beside it.

    The exported network takes images as they are stored, ``(batch, channels, height, width)``, any number of them, and
    gives what :class:`ExportedNetwork` says. Each file is written whole or not at all.

    Args:
        run: directory of a run, or a network's file.
        output: file to write; None: ``network.onnx`` or ``network.pt2`` in the folder of the network. The card has its
            name with the suffix ``.md``.
        format: ``onnx``, or ``torch_export`` for ``torch.export.load``.
        dtype: of the images: ``float32`` or ``uint8``.
        license: licence of the network, for the card.
        overwrite: replace files that exist.

    Raises:
        SettingError: a setting is invalid, a file exists already, a package is missing, or the network cannot be
            exported.
        ModelFileError: there is no such network.
        DataError: the run's study cannot be read.

    Example:
        >>> from finetune.export import export_network
        >>> export_network("runs/default/finetune/dbn_seed0", "digits.onnx", license="CC-BY-4.0")  # doctest: +SKIP
    """
    check_choice("format", format, FORMATS)
    check_choice("dtype", dtype, DTYPES)
    file = Path(run) / NETWORK_FILE if Path(run).is_dir() else Path(run)
    suffix, content_of = FORMATS[format]
    target = file.with_name(f"network{suffix}") if output is None else Path(output)
    card = target.with_suffix(".md")
    if target.suffix != suffix:
        raise SettingError(
            f"output={target}: a file of format={format} ends in {suffix}, as {target.stem}{suffix} does."
        )
    _check_free([target, card], overwrite)
    network = Network.load(file)
    exported = ExportedNetwork(network)
    described = {
        "task": exported.meaning.task,
        "output": exported.output,
        "classes": json.dumps(list(exported.meaning.classes)),
        "version": metadata.version("layerwise-dbn"),
        **({} if license is None else {"license": license}),
    }
    example = torch.zeros(2, *exported.shape, dtype=DTYPES[dtype])
    content = content_of(exported, example, described)
    text = model_card(network, exported, file, name=target.name, dtype=dtype, license=license)
    write_bytes(target, content)
    write_text(card, text)
    return Exported(target, card)


def _check_free(files: list[Path], overwrite: bool) -> None:
    """Refuse to replace files unless told to.

    Raises:
        SettingError: a file exists.
    """
    there = [str(file) for file in files if file.exists()]
    if there and not overwrite:
        raise SettingError(
            f"output: {' and '.join(there)} exist{'s' if len(there) == 1 else ''} already, and may be edited. Give "
            "another output=..., or overwrite=true."
        )
    for name in there:
        log.warning("%s is replaced.", name)
