"""Handwritten digits that come with scikit-learn: no download."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from dbn.data.source import Source
from dbn.data.sources.mnist import DIGITS
from dbn.errors import DataError

FILE = Path("datasets", "data", "digits.csv.gz")
"""Within the package ``sklearn``: 64 pixels and the label of an image per line."""


def digits() -> Source:
    """1797 handwritten digits of 8 x 8 pixels with 17 grey levels, 10 classes, without a predefined split.

    Raises:
        DataError: the installed scikit-learn does not hold them.

    References:
        Alpaydin and Kaynak (1998), *Optical Recognition of Handwritten Digits*, UCI: the test part of that data set.
    """
    # The file itself: to import sklearn.datasets for it takes longer than to train on it.
    package = find_spec("sklearn")
    path = Path("sklearn" if package is None or package.origin is None else package.origin).parent / FILE
    if not path.is_file():
        raise DataError(f"{path}: data=digits comes with scikit-learn, and it is not there. Install scikit-learn anew.")
    rows = np.loadtxt(path, delimiter=",", dtype=np.uint8)  # (1797, 65)
    return Source(
        name="digits",
        train_images=torch.from_numpy(rows[:, :-1].reshape(-1, 1, 8, 8).copy()),
        train_labels=torch.from_numpy(rows[:, -1].astype(np.int64)),
        classes=DIGITS,
        maximum=16.0,
    )
