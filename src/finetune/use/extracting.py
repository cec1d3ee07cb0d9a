"""Features of a layer, for images, as a file: ``.npy``, ``.npz`` or ``.csv``."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from dbn.data.given_images import check_given, read_by
from dbn.data.images import Images
from dbn.data.parts import Part
from dbn.errors import SettingError
from dbn.files import replacing
from dbn.models.dbn import DBN
from dbn.use.blocks import Advance, in_blocks, progress_bar
from dbn.use.data_to_use import DataToUse
from dbn.use.table import exact_numbers, image_table
from finetune.networks.network import Network


class Features:
    """Outputs of a layer of a network, or of a stack, for stored images.

    Args:
        model: the network or stack.
        layer: as in :meth:`finetune.Network.transform` and :meth:`dbn.DBN.transform`.

    Raises:
        SettingError: the stack's scaling is not known, or there is no such layer.
    """

    def __init__(self, model: Network | DBN, layer: int | None = None) -> None:
        scaling = model.known_meaning.scaling if isinstance(model, Network) else model.scaling
        if scaling is None:
            raise SettingError(
                "stack: this file does not say how stored images become features. Save the stack with its scaling, "
                "DBN(layers, data.scaling).save(...), or use DBN.load(...).transform(..., features=True)."
            )
        self.model = model
        self.layer = layer
        self.scaling = scaling
        self.n_inputs = model.sizes[0]
        self.n_features: int = self.model.transform(np.empty((0, self.n_inputs), np.float32), layer).shape[1]

    def __call__(self, images: Images) -> NDArray:
        """Features ``(m, n_features)`` of stored images, the same bits as the model's ``transform``."""
        features: NDArray = self.model.transform(read_by(images, self.scaling), self.layer).cpu().numpy()
        return features


def write_features(features: Features, data: DataToUse, path: Path, *, progress: bool = False) -> tuple[int, int]:
    """Write the features of all images, block by block.

    ``.npy`` holds an array ``(n, n_features)`` float32; ``.npz`` that as ``features``, and ``index``, ``names`` and
    ``labels`` (names of classes), where images have them; ``.csv`` a row for each image.

    Args:
        features: of a model.
        data: the images.
        path: of the file, written whole or not at all.
        progress: show a progress bar on a terminal.

    Returns:
        Shape of the features.

    Raises:
        DataError: images of another size or in other units.
    """
    for part in data.parts:
        check_given(part.images, features.scaling, features.n_inputs)
    with progress_bar("images", len(data), wanted=progress) as advance:
        write = {".npy": _write_npy, ".npz": _write_npz, ".csv": _write_csv}[path.suffix]
        write(features, data, path, advance)
    return len(data), features.n_features


def _write_npy(features: Features, data: DataToUse, path: Path, advance: Advance) -> None:
    with replacing(path) as temporary:
        _fill_array(temporary, features, data, advance)


def _write_npz(features: Features, data: DataToUse, path: Path, advance: Advance) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        array = Path(folder) / "features.npy"
        _fill_array(array, features, data, advance)
        with replacing(path) as temporary, temporary.open("wb") as file:
            arrays = {"features": np.load(array, mmap_mode="r"), **_facts(data)}
            np.savez(file, **arrays)


def _write_csv(features: Features, data: DataToUse, path: Path, advance: Advance) -> None:
    columns = [f"feature_{k}" for k in range(features.n_features)]
    with image_table(path, data, columns) as write:
        for part in data.parts:
            for positions, (found,) in in_blocks(part, lambda images: (features(images),), advance):
                write(part, positions, [exact_numbers(row) for row in found])


def _fill_array(file: Path, features: Features, data: DataToUse, advance: Advance) -> None:
    """Write an .npy file through a memory map."""
    shape = (len(data), features.n_features)
    array = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape)
    start = 0
    for part in data.parts:
        for positions, (found,) in in_blocks(part, lambda images: (features(images),), advance):
            array[start : start + len(positions)] = found
            start += len(positions)
    array.flush()


def _facts(data: DataToUse) -> dict[str, NDArray]:
    """Arrays that say which image a row is, in the order of the rows."""
    order = [(part, part.index.argsort().numpy()) for part in data.parts]
    facts = {"index": np.concatenate([part.index.numpy()[own] for part, own in order])}
    if data.has_names:
        facts["names"] = np.array([name for part, own in order for name in _names(part, own)])
    if data.has_labels:
        facts["labels"] = np.array([name for part, own in order for name in _labels(part, own, data.classes)])
    return facts


def _names(part: Part, order: NDArray) -> Iterator[str]:
    return (part.names[k] if part.names else "" for k in order.tolist())


def _labels(part: Part, order: NDArray, classes: tuple[str, ...]) -> Iterator[str]:
    labels = part.images.labels
    return ("" if labels is None else classes[int(labels[k])] for k in order.tolist())
