"""Pictures of a trained stack or network: filters, reconstructions and samples as arrays, and contact sheets."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dbn.data import DataSet
from dbn.files import replacing
from dbn.models.convolution_layer import Convolution2d
from dbn.models.dbm import DBM
from dbn.models.dbm_layer import is_of_dbm
from dbn.models.dbn import DBN
from dbn.models.linear import Linear, WeightLayer
from dbn.models.mean_field_layer import MeanFieldLinear
from dbn.random.streams import stream

PICTURES = "pictures.npz"
MOST = 64
"""Largest number of pictures of a kind."""


def filters(weight: Tensor, shape: tuple[int, int, int]) -> np.ndarray:
    """Incoming weights of the first units as pictures.

    Args:
        weight: ``(n_features, n_units)``.
        shape: channels, height, width.

    Returns:
        ``(k, channels, height, width)`` float32, k at most 64, without rescaling.
    """
    return weight[:, :MOST].T.reshape(-1, *shape).detach().cpu().numpy().astype(np.float32)


def filters_of(layer: WeightLayer, shape: tuple[int, int, int]) -> np.ndarray | None:
    """Filters of a first layer as pictures; None if its units have no weight for each feature.

    Args:
        layer: of a network.
        shape: channels, height, width of an image.

    Returns:
        ``(k, c, h, w)`` float32, k at most 64: of a dense layer as large as images, of a convolution as its kernel.
    """
    if isinstance(layer, Convolution2d):
        _, channels, height, width = layer.weight.shape
        return filters(layer.weight.flatten(1).T, (channels, height, width))
    if isinstance(layer, MeanFieldLinear):
        return filters(layer.weight[:, : layer.in_features].T, shape)
    return filters(layer.weight.T, shape) if isinstance(layer, Linear) else None


def pictures_of_stack(stack: DBN, data: DataSet, seed: int) -> dict[str, np.ndarray]:
    """Filters, images with their reconstructions, and samples of a pretrained stack.

    Returns:
        ``images``, ``reconstructions`` ``(m, c, h, w)`` in [0, 1]; what :func:`pictures_of_weights` gives; for a stack
        of RBMs, or a DBM, ``samples`` ``(m, c, h, w)`` in [0, 1].
    """
    features = data.validation_or_train.sample(20)
    pictures = pictures_of_weights(stack, data.shape)
    pictures["images"] = data.to_pixels(features).numpy()
    pictures["reconstructions"] = data.to_pixels(stack.reconstruct(features)).numpy()
    if stack.is_generative or is_of_dbm(list(stack.layers)):
        model = stack if stack.is_generative else DBM.of_stack(stack)
        samples = model.sample(20, steps=500, generator=stream(seed, "samples"))
        pictures["samples"] = data.to_pixels(samples).numpy()
    return pictures


def pictures_of_weights(stack: DBN, shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """What the units of a stack look for.

    Args:
        stack: the stack.
        shape: channels, height, width of its images.

    Returns:
        ``filters`` of a dense or convolutional first layer, ``(k, c, h, w)``; above a convolutional one ``features2``,
        ``features3``, ... of the higher layers, see :func:`projections`.
    """
    encoder, _ = stack[0].encoder()
    lowest = filters_of(encoder, shape)
    pictures = {} if lowest is None else {"filters": lowest}
    if isinstance(encoder, Convolution2d):
        pictures |= {f"features{k}": projections(stack, k, shape) for k in range(2, len(stack) + 1)}
    return pictures


@torch.no_grad()
def projections(stack: DBN, layer: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Units of a layer projected down to the image by the weights alone: weighted sums of the features below.

    Of a convolutional layer one unit for each map, in the middle, cut to what it sees.

    Args:
        stack: a stack of RBMs or autoencoders.
        layer: number of the layer, from 1.
        shape: channels, height, width of the images.

    Returns:
        ``(k, c, h, w)`` float32, k at most 64, without rescaling.

    References:
        Lee et al. (2009), figures 2 and 3: higher layers as weighted combinations of those below.
    """
    sizes = stack[layer - 1].hidden.shape
    count = min(sizes[-1], MOST)
    x = torch.zeros(count, *sizes, device=stack[0].weight.device)
    middle = [size // 2 for size in sizes[:-1]]
    for number in range(count):
        x[(number, *middle, number)] = 1
    x = stack[layer - 1].downward.visible_field(x.flatten(1))
    for k in reversed(range(layer - 1)):
        x = stack[k].downward.visible_field(stack[k].hidden.spread(x))
    pictures = x.view(count, *shape).cpu()
    seen = pictures.abs().amax((0, 1)) > 0
    rows, columns = seen.any(1).nonzero().flatten(), seen.any(0).nonzero().flatten()
    if len(rows):
        pictures = pictures[:, :, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    found: np.ndarray = pictures.numpy().astype(np.float32)
    return found


def save_pictures(directory: Path, pictures: Mapping[str, np.ndarray]) -> None:
    """Write ``pictures.npz`` atomically."""
    with replacing(directory / PICTURES) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **dict(pictures))  # type: ignore[arg-type]  # numpy's stub takes **kwds for a flag


def tiles(pictures: np.ndarray, columns: int = 10, *, stretch: bool = False) -> np.ndarray:
    """Arrange pictures in a grid.

    Args:
        pictures: ``(n, channels, height, width)``; one channel or three.
        columns: pictures per row.
        stretch: scale each picture's values to [0, 1], with 0 at 0.5: for weights of either sign.

    Returns:
        ``(rows * (height + 1), columns * (width + 1), 3)`` in [0, 1].
    """
    if stretch:
        scale = np.abs(pictures).max(axis=(1, 2, 3), keepdims=True)
        pictures = 0.5 + 0.5 * pictures / np.where(scale > 0, scale, 1)
    n, _, height, width = pictures.shape
    rows = -(-n // columns)
    sheet = np.ones((rows * (height + 1), columns * (width + 1), 3), dtype=np.float32)
    for k, picture in enumerate(pictures):
        y, x = (k // columns) * (height + 1), (k % columns) * (width + 1)
        sheet[y : y + height, x : x + width] = np.moveaxis(picture, 0, -1)
    return sheet


def sheets(pictures: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A grid for each kind of picture, with reconstructions below their images."""
    result = {
        name: tiles(pictures[name], stretch=True) for name in pictures if name.startswith(("filters", "features"))
    }
    if "images" in pictures:
        pairs = zip(np.array_split(pictures["images"], 2), np.array_split(pictures["reconstructions"], 2), strict=True)
        rows = np.concatenate([part for pair in pairs for part in pair])
        result["reconstructions"] = tiles(rows, columns=len(pictures["images"]) // 2 or 1)
    if "samples" in pictures:
        result["samples"] = tiles(pictures["samples"])
    return result
