"""Predictions for the test images, stored with a run: a classifier's, to compare runs image by image, or values."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialise
from torch import Tensor

from dbn.data import DataSet
from dbn.errors import ModelFileError
from dbn.files import write_bytes

PREDICTIONS_FILE, PROBABILITIES_FILE = "predictions.safetensors", "probabilities.safetensors"
NAMES = "names"
"""Metadata key of the names of the images."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Class numbers of test images, in the order of their source.

    Attributes:
        label: true classes, ``(n_test,)`` int64.
        predicted: predicted classes, ``(n_test,)`` int64.
        index: number of each image in its source, ``(n_test,)`` int64, see :attr:`dbn.data.DataSet.test_index`; None:
            0 to n - 1.
        names: name of each image, such as its file's; empty where images have none.
    """

    label: NDArray[np.int64]
    predicted: NDArray[np.int64]
    index: NDArray[np.int64] | None = None
    names: tuple[str, ...] = ()

    def save(self, directory: Path) -> None:
        """Write ``predictions.safetensors``.

        It holds ``label``, ``predicted`` (int16) and ``index`` (int32), ``(n_test,)`` each; the images' names are
        metadata.
        """
        index = np.arange(len(self.label)) if self.index is None else self.index
        arrays: dict[str, NDArray[np.generic]] = {
            "label": self.label.astype(np.int16), "predicted": self.predicted.astype(np.int16),
            "index": index.astype(np.int32),
        }  # fmt: skip
        write_bytes(directory / PREDICTIONS_FILE, serialise(arrays, metadata={NAMES: json.dumps(list(self.names))}))


def write_predictions(directory: Path, data: DataSet, predicted: Tensor, probabilities: Tensor | None = None) -> None:
    """Write ``predictions.safetensors`` and ``probabilities.safetensors``, sorted by the images' numbers in the source.

    The first is that of :meth:`Predictions.save`; the second holds ``probabilities`` ``(n_test, n_classes)`` float32.

    Args:
        directory: of the run.
        data: whose test images have labels.
        predicted: their predicted classes ``(n_test,)``, in the order of ``data.test``.
        probabilities: of all classes, ``(n_test, n_classes)``; None: there are none.
    """
    assert data.test.labels is not None
    index, order = _in_order(data)
    label, classes = (numbers.cpu()[order].numpy().astype(np.int64) for numbers in (data.test.labels, predicted))
    names = tuple(data.test_names[k] for k in order.tolist()) if data.test_names else ()
    Predictions(label, classes, index.astype(np.int64), names).save(directory)
    if probabilities is not None:
        in_order = {"probabilities": probabilities.cpu()[order].numpy()}
        write_bytes(directory / PROBABILITIES_FILE, serialise(in_order))


def write_values(directory: Path, data: DataSet, predicted: Tensor) -> None:
    """Write ``predictions.safetensors`` of regression, sorted by the rows' numbers in the source.

    It holds ``target`` and ``predicted`` ``(n_test, n_targets)`` float32, in the targets' own units, and ``index``
    ``(n_test,)`` int32; the names of the targets are metadata, as JSON.

    Args:
        directory: of the run.
        data: whose test rows have targets.
        predicted: their predicted values ``(n_test, n_targets)``, in the order of ``data.test``.
    """
    assert data.test.labels is not None
    index, order = _in_order(data)
    arrays: dict[str, NDArray[np.generic]] = {
        "target": data.test.labels.cpu()[order].numpy(), "predicted": predicted.cpu()[order].numpy(), "index": index
    }  # fmt: skip
    write_bytes(directory / PREDICTIONS_FILE, serialise(arrays, metadata={"targets": json.dumps(list(data.targets))}))


def _in_order(data: DataSet) -> tuple[NDArray[np.int32], Tensor]:
    """Numbers of the test images in their source, sorted, and the order that sorts them."""
    index = torch.arange(len(data.test)) if data.test_index is None else data.test_index.cpu()
    order = index.argsort()
    return index[order].numpy().astype(np.int32), order


def read_predictions(directory: Path) -> Predictions | None:
    """The predictions of a run; None if it has none, such as an autoencoder, or those of regression.

    Raises:
        ModelFileError: the file is damaged.
    """
    file = directory / PREDICTIONS_FILE
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="numpy") as content:
            keys = set(content.keys())  # files of older versions have no index
            if "target" in keys:
                return None
            label, predicted = (content.get_tensor(name).astype(np.int64) for name in ("label", "predicted"))
            index = content.get_tensor("index").astype(np.int64) if "index" in keys else np.arange(len(label))
            names = tuple(json.loads((content.metadata() or {}).get(NAMES, "[]")))
        return Predictions(label, predicted, index, names)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelFileError(f"{file} holds no predictions ({error}). Delete the run and do it again.") from error
