"""The training images whose labels are not used, as images without labels."""

from dataclasses import replace

import torch
from torch import Tensor

from dbn.data.images import Images, ImageSet
from dbn.data.selected_images import SelectedImages
from dbn.data.streamed.images import StreamedImages


def without_labels(images: ImageSet, labelled: Tensor) -> ImageSet:
    """The images except those at ``labelled`` ``(m,)``, without labels; no pixels are copied.

    Args:
        images: training images, in memory or in a file.
        labelled: numbers of the images that keep their label.

    Raises:
        TypeError: the images are computed from others.
    """
    if isinstance(images, StreamedImages):
        return replace(images, labels=None, weights=None).without(labelled)
    rest = torch.ones(len(images), dtype=torch.bool)
    rest[labelled.cpu()] = False
    index = rest.nonzero().squeeze(1).to(images.device)
    if isinstance(images, SelectedImages):
        return replace(images, index=images.index[index], labels=None, weights=None)
    if isinstance(images, Images):
        return SelectedImages(images.pixels, index, None, images.offset, images.factor)
    raise TypeError(f"{type(images).__name__}: only stored images are read in part.")
