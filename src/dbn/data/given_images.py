"""Images that a person gives to a trained model: as they are stored, or as features."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dbn.data.allowed_values import ROUNDING
from dbn.data.block_loader import BlockLoader
from dbn.data.images import Images, ImageSet, StoredImages
from dbn.data.scaling import Scaling
from dbn.data.tensors import ORDERED, as_floats, check_dimensions
from dbn.errors import DataError

BATCH = 1000
"""Images that a model computes at once; the last bits of its outputs depend on it."""
STORED = "the training images were stored"


def given_images(given: Any, scaling: Scaling | None, n_features: int, *, are_features: bool = False) -> ImageSet:
    """Images that a model can be applied to.

    Args:
        given: ``(n, n_features)``, ``(n, height, width)``, ``(n, channels, height, width)`` or, as arrays of pictures
            are often stored, ``(n, height, width, channels)``: a tensor or a numpy array of numbers in the units in
            which the training images were stored, such as 0 to 255; or an :class:`ImageSet`, such as
            ``DataSet.test``, which has its own scaling. Of a model of a table, a table (a pandas DataFrame) with its
            columns, in which values may be missing.
        scaling: of the model's training images; None: unknown, and ``given`` must be features.
        n_features: number of features of the model's inputs.
        are_features: ``given`` has been scaled already.

    Raises:
        DataError: another type or shape, a number that is not finite, or numbers that are plainly in other units.
    """
    if isinstance(given, ImageSet):
        _check_size(given.n_features, n_features, scaling, f"{given.n_features} features")
        return given
    if scaling is not None and scaling.columns is not None and not are_features and is_table(given):
        stored = scaling.columns.filled(scaling.columns.encoded(given))
        return Images(stored, None, scaling.offset.cpu(), scaling.factor.cpu())
    pixels = _as_pixels(given, are_features or scaling is None)
    _check_size(pixels[0].numel() if len(pixels) else n_features, n_features, scaling, f"shape {tuple(pixels.shape)}")
    if scaling is not None:
        pixels = with_channels_first(pixels, scaling.shape)
    flat = pixels.flatten(1).contiguous()
    check_finite(flat)
    if scaling is not None:
        maximum = 1.0 if are_features else scaling.value_of_one
        check_units(flat, scaling, maximum, "features are" if are_features else STORED)
        if looks_divided(flat, scaling, maximum):
            raise DataError(
                f"The images are floats up to {float(flat.max()):.6g}, but {STORED} from 0 to {maximum:.6g}. If they "
                "are divided by it already, say features=True; otherwise give them as stored."
            )
    if are_features or scaling is None:
        return Images.of(flat, None)
    device = flat.device
    return Images(flat, None, scaling.offset.to(device), scaling.factor.to(device))


def is_table(given: Any) -> bool:
    """Whether it is a table with named columns, such as a pandas DataFrame."""
    return not isinstance(given, (Tensor, np.ndarray)) and hasattr(given, "columns") and hasattr(given, "to_numpy")


def batches(images: ImageSet, size: int = BATCH) -> Iterator[Tensor]:
    """Features of images in order, ``(size, n_features)`` float32 and a last, smaller batch.

    A batch is valid until the next one.
    """
    if len(images):
        for block in BlockLoader(images, batch_size=size, minibatches_per_block=1):
            yield block.features


def applied(
    function: Callable[[Tensor], Tensor], images: Any, scaling: Scaling | None, like: Tensor, n_features: int, *,
    are_features: bool, batch_size: int,
) -> Any:  # fmt: skip
    """What a model computes of images, batch after batch.

    Args:
        function: of features ``(batch, n_features)`` of the type and on the device of ``like``; may not return them
            uncopied.
        images: as in :func:`given_images`.
        scaling: as in :func:`given_images`.
        like: a parameter of the model.
        n_features: number of features of the model's inputs.
        are_features: as in :func:`given_images`.
        batch_size: images computed at once.

    Returns:
        A numpy array if ``images`` are one or a table, otherwise a tensor on the device of ``like``.

    Raises:
        DataError: as :func:`given_images`.
    """
    given = given_images(images, scaling, n_features, are_features=are_features)
    found = [function(x.to(like)) for x in batches(given, batch_size)] or [function(like.new_empty(0, n_features))]
    outputs = torch.cat(found)
    return outputs.cpu().numpy() if isinstance(images, np.ndarray) or is_table(images) else outputs


def _as_pixels(given: Any, are_features: bool) -> Tensor:
    """A tensor of uint8 or float32, with two to four dimensions."""
    if not are_features:  # whole numbers are stored values, whatever they go up to
        if isinstance(given, np.ndarray) and given.dtype.kind in "iu":
            given = torch.from_numpy(given.astype(np.uint8 if given.dtype == np.uint8 else np.float32))
        elif isinstance(given, Tensor) and given.dtype in ORDERED and given.dtype != torch.uint8:
            given = given.float()
    is_bytes = isinstance(given, Tensor) and given.dtype == torch.uint8 and not are_features
    pixels: Tensor = given if is_bytes else as_floats(given, "features" if are_features else "images")
    check_dimensions(pixels, "images")
    return pixels.detach()


def _check_size(found: int, wanted: int, scaling: Scaling | None, words: str) -> None:
    """Refuse images of another number of features."""
    if found != wanted:
        shape = "" if scaling is None else f", from images of {' x '.join(map(str, scaling.shape))}"
        raise DataError(
            f"The images have {words}, but the model takes {wanted} features{shape}. Give images of the shape it was "
            f"trained on, channels first or last.{_other_channels(found, wanted)}"
        )


def _other_channels(found: int, wanted: int) -> str:
    """What to do where pictures seem to have been read in grey in place of colour, or the other way round."""
    if 3 * found == wanted:
        return " Files of pictures are read in colour with data.grey=false."
    return " Files of pictures are read in grey with data.grey=true." if found == 3 * wanted else ""


def channels_are_last(shape: Sequence[int], wanted: Sequence[int]) -> bool:
    """Whether images of a shape are ``(n, height, width, channels)``, by the (channels, height, width) of a model."""
    channels, height, width = wanted
    return tuple(shape[1:]) == (height, width, channels) != (channels, height, width)


def with_channels_first(pixels: Tensor, wanted: Sequence[int]) -> Tensor:
    """Images as ``(n, channels, height, width)``, where they lie as ``(n, height, width, channels)``.

    Args:
        pixels: as many for each image as the model takes.
        wanted: channels, height and width of the model's images.

    Raises:
        DataError: pictures of other sides, with as many pixels.
    """
    if channels_are_last(pixels.shape, wanted):
        return pixels.movedim(-1, 1)
    own, sides = tuple(pixels.shape[1:]), tuple(wanted)
    if len(own) > 1 and min(sides[1:]) > 1 and (1, *own)[-3:] != sides:
        raise DataError(
            f"The images have shape {tuple(pixels.shape)}, but the model was trained on images of "
            f"{' x '.join(map(str, sides))} (channels, height, width). Give images of these sides, or features "
            "(n, n_features) in the order that they had in training."
        )
    return pixels


def check_finite(pixels: Tensor) -> None:
    """Raise :class:`DataError` if a value is NaN or infinite."""
    if pixels.is_floating_point() and not bool(torch.isfinite(pixels).all()):
        raise DataError("Images hold NaN or infinite values. Fill in what is missing, or leave those images out.")


def check_units(pixels: Tensor, scaling: Scaling, maximum: float, what: str = STORED) -> None:
    """Refuse values outside 0 to ``maximum``, where the training images are not standardised.

    Raises:
        DataError: the message says that ``what`` go from 0 to ``maximum``.
    """
    if scaling.is_standardised or not pixels.numel():
        return
    low, high = (float(end) for end in torch.aminmax(pixels))
    if scaling.keeps_counts:
        if low < 0:
            raise DataError(f"The images hold values from {low:.6g}, and the training images were counts, from 0.")
        return
    if low < 0 or high > maximum * (1 + ROUNDING):
        raise DataError(
            f"The images hold values from {low:.6g} to {high:.6g}, but {what} from 0 to {maximum:.6g}. Convert them to "
            "these units."
        )


def looks_divided(pixels: Tensor, scaling: Scaling, maximum: float) -> bool:
    """Whether values are floats from 0 to 1, where the training images go from 0 to a larger ``maximum``."""
    if scaling.is_standardised or scaling.keeps_counts or not pixels.numel():
        return False
    if not pixels.is_floating_point() or maximum <= 1:
        return False
    return 0 < float(pixels.max()) <= 1


def check_given(images: StoredImages, scaling: Scaling, n_features: int) -> None:
    """Check the size of stored images, and the units of the first ones, before a trained model is applied to them.

    Raises:
        DataError: the model takes another number of features, or the training images were stored in other units.
    """
    _check_size(images.n_features, n_features, scaling, f"{images.n_features} features")
    first = images.take(torch.arange(min(BATCH, len(images)))).pixels
    if looks_divided(first, scaling, scaling.value_of_one):
        raise DataError(
            f"The images are floats up to {float(first.max()):.6g}, but {STORED} from 0 to {scaling.value_of_one:.6g}. "
            "Multiply them by that, or train a network on images like these."
        )


def read_by(images: Images, scaling: Scaling) -> Images:
    """Stored images in memory, read by the scaling of a trained model; missing values of a table are filled in.

    Raises:
        DataError: a value is not finite, or cannot be in the units of the training images.
    """
    if scaling.columns is not None:
        images = replace(images, pixels=scaling.columns.filled(images.pixels))
    check_finite(images.pixels)
    check_units(images.pixels, scaling, scaling.value_of_one)
    device = images.device
    return replace(images, offset=scaling.offset.to(device), factor=scaling.factor.to(device))
