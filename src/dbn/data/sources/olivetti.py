"""The Olivetti faces."""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from dbn.data.source import Source
from dbn.data.sources.fetch import find_or_fetch
from dbn.errors import DataError, SettingError
from dbn.settings import check_choice

FILENAME = "olivettifaces.mat"
URLS = ("https://ndownloader.figshare.com/files/5976027", "https://cs.nyu.edu/~roweis/data/olivettifaces.mat")
SHA256 = "b612fb967f2dc77c9c62d3e1266e0c73d5fca46a4b8906c18e454d41af987794"
RESAVED_SHA256 = "b1988d02c72fe5b8ee82b5ef3bb7982eafc74f1e1ff0ae0ade35061ad0af534d"
"""Hash of the same faces saved again in 2013, in https://github.com/sjgershm/DBM."""
SIDE, PEOPLE, IMAGES_EACH = 64, 40, 10


def olivetti(root: str | Path | None = None, split: str = "person", size: int = SIDE) -> Source:
    """Olivetti faces: 400 images of 64 x 64 grey pixels, ten of each of forty people.

    Args:
        root: data folder; ``olivettifaces.mat`` is in it or in its folder ``olivetti/``; None: see
            :func:`find_or_fetch`. The addresses are scikit-learn's and the original one; they have not been tried.
        split: "person": splits have different people, and there are no labels (for autoencoders). "image": people are
            the classes, and all of them are in every split (for classifiers).
        size: pixels per side, a divisor of 64; squares of pixels are averaged.

    Raises:
        SettingError: ``split`` or ``size`` is invalid.
        DataError: the file has the wrong hash or content, or is missing and cannot be downloaded.

    References:
        Samaria and Harter (1994), *Parameterisation of a stochastic model for human face identification*, AT&T
        Laboratories Cambridge; free for research that names them. In 64 x 64 pixels by S. Roweis.
    """
    check_choice("data.split", split, ("person", "image"))
    if not isinstance(size, int) or isinstance(size, bool) or size < 1 or SIDE % size:
        raise SettingError(f"data.size={size!r}: the faces have {SIDE} pixels on a side. Use 64, 32, 16, 8, 4, 2 or 1.")
    images = _read(find_or_fetch("olivetti", FILENAME, SHA256, URLS, root, or_sha256=[RESAVED_SHA256]))
    if size < SIDE:
        images = F.avg_pool2d(images.float(), SIDE // size)
    people = torch.arange(PEOPLE).repeat_interleave(IMAGES_EACH)
    if split == "image":
        classes = tuple(str(person) for person in range(PEOPLE))
        return Source("olivetti", images, people, classes=classes, maximum=255.0)
    return Source("olivetti", images, groups=people, maximum=255.0)


def _read(path: Path) -> torch.Tensor:
    """Faces ``(400, 1, 64, 64)`` uint8."""
    from scipy.io import loadmat  # here: a slow import that no other data set needs

    try:
        faces = loadmat(path)["faces"]
    except (KeyError, ValueError, OSError) as error:
        raise DataError(f"{path} has no faces in it ({error}). Get the file again.") from error
    if faces.shape != (SIDE * SIDE, PEOPLE * IMAGES_EACH) or faces.min() < 0 or faces.max() > 255:
        raise DataError(f"{path}: faces of shape {faces.shape}, expected (4096, 400) within 0 to 255. Get it again.")
    columns_first = faces.T.reshape(-1, 1, SIDE, SIDE).astype(np.uint8)  # MATLAB's order
    return torch.from_numpy(np.ascontiguousarray(columns_first.transpose(0, 1, 3, 2)))
