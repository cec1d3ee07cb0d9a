"""A classifier's predictions for the test images, stored with a run, to compare runs image by image."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load
from safetensors.numpy import save as serialise
from torch import Tensor

from dbn.data.block_loader import BlockLoader
from dbn.data.images import ImageSet
from dbn.errors import ModelFileError
from dbn.files import write_bytes
from finetune.networks.network import Network

PREDICTIONS_FILE = "predictions.safetensors"


@dataclass(frozen=True, eq=False)
class Predictions:
    """Class numbers of test images, in the order of the test set.

    Attributes:
        label: true classes, ``(n_test,)`` int64.
        predicted: predicted classes, ``(n_test,)`` int64.
    """

    label: NDArray[np.int64]
    predicted: NDArray[np.int64]


@torch.no_grad()
def predict(network: Network, images: ImageSet) -> Tensor:
    """Class of the largest output for every image, ``(n,)`` int64, in evaluation mode."""
    training = network.training
    network.eval()
    classes = [network(block.features).argmax(1) for block in BlockLoader(images, batch_size=1000)]
    network.train(training)
    return torch.cat(classes)


def write_predictions(directory: Path, label: Tensor, predicted: Tensor) -> None:
    """Write ``predictions.safetensors``: ``label`` and ``predicted``, ``(n_test,)`` each, as int16."""
    content = {"label": label, "predicted": predicted}
    arrays = {name: values.cpu().numpy().astype(np.int16) for name, values in content.items()}
    write_bytes(directory / PREDICTIONS_FILE, serialise(arrays))


def read_predictions(directory: Path) -> Predictions | None:
    """The predictions of a run; None if it has none, such as an autoencoder.

    Raises:
        ModelFileError: the file is damaged.
    """
    file = directory / PREDICTIONS_FILE
    if not file.is_file():
        return None
    try:
        content = load(file.read_bytes())
        return Predictions(content["label"].astype(np.int64), content["predicted"].astype(np.int64))
    except (SafetensorError, KeyError) as error:
        raise ModelFileError(f"{file} holds no predictions ({error}). Delete the run and do it again.") from error
