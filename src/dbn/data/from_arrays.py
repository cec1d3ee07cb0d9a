"""Conversion and validation of arrays that are passed to :func:`dbn.pretraining.fit`."""

from typing import Any

from dbn.data.allowed_values import UNIT, Interval, is_standardised, range_outside
from dbn.data.image_weights import given_weights, relative
from dbn.data.images import DataSet, Images, StoredImages
from dbn.data.tensors import as_rows, at_least, usual
from dbn.errors import DataError


def training_images(given: Any, n_visible: int, allowed: Interval, units: str, weights: Any = None) -> StoredImages:
    """Images that an RBM can be trained on.

    Args:
        given: features ``(n, n_features)``, ``(n, height, width)`` or ``(n, channels, height, width)``, a torch tensor
            or a numpy array of any floating-point type, booleans, or whole numbers that are all 0 or 1; or
            :class:`Images`, such as ``DataSet.train``.
        n_visible: visible units of the RBM.
        allowed: values that its visible units can have.
        units: name of their class, for messages.
        weights: how much each image counts, ``(n,)`` numbers from 0; None: the images' own, if they have some.

    Returns:
        The images; their weights, if they have some, are 1 on average.

    Raises:
        DataError: there are no images; their type or shape is ambiguous, or does not match the units; a feature is not
            finite, or no value that the units can have; weights are no such numbers, or all 0.
    """
    if isinstance(given, DataSet):
        raise DataError(f"data={given.name} is a whole data set. Give its training images: data.train.")
    images: StoredImages = given if isinstance(given, StoredImages) else Images.from_features(as_rows(given, "images"))
    if not len(images):
        raise DataError("There are no images to train on: give at least one.")
    n_features = images.n_features
    if n_features != n_visible:
        shape = "" if isinstance(given, StoredImages) else f" (their shape is {tuple(given.shape)})"
        raise DataError(
            f"The RBM has {n_visible} visible units, but images have {n_features} features{shape}. Make the RBM for "
            f"them: RBM({units}({n_features}), ...)."
        )
    found = range_outside(images, allowed, "images")
    if found is not None:
        low, high = found
        needed = "[0, 1]" if allowed == UNIT else f"values from {allowed[0]:g}"
        real = f"give the RBM real units, RBM(Gaussian({n_visible}), ...), and standardised images"
        if low < allowed[0]:
            cure = f"Scale them, or {real}."
        elif isinstance(given, StoredImages) and not is_standardised(images):
            largest = high / float(images.factor.max())
            cure = (
                f"Say which stored value stands for 1, Source(..., maximum={at_least(largest)}) if that is the largest "
                f"there can be{usual(largest)}. Or {real}."
            )
        else:
            cure = (
                f"Divide by the value that stands for 1: images / {at_least(high)}, if that is the largest there can "
                f"be{usual(high)}. Or {real}."
            )
        raise DataError(
            f"Features of the images go from {low:.6g} to {high:.6g}, but {units} visible units need {needed}. {cure}"
        )
    return relative(images if weights is None else images.weighted(given_weights(weights, len(images))))
