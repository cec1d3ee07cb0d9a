"""Image shape and classes of a data set, read without loading its images where possible."""

import math
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
import numpy as np

from dbn.data.load import load_data
from dbn.data.sources.arrays import ROLES, choose, picture_shape
from dbn.data.sources.easypr import CLASSES as EASYPR_CLASSES
from dbn.data.sources.easypr import SIDE as EASYPR_SIDE
from dbn.data.sources.image_folder import Dropped, all_images, images_by_class, split_folders
from dbn.data.sources.mnist import DIGITS, FASHION_CLASSES
from dbn.data.sources.newsgroups import GROUPS, N_WORDS
from dbn.data.sources.npz import arrays_in
from dbn.data.sources.olivetti import PEOPLE
from dbn.data.sources.picture_file import PictureReader, background_colour, picture_size
from dbn.data.sources.sparse import SPARSE_PARTS
from dbn.data.split.label_subset import encode_labels, normalise_labels
from dbn.data.tables.columns import Columns
from dbn.errors import DataError, UserError

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class DataInfo:
    """Shape and classes of a data set.

    Attributes:
        name: name of the data.
        shape: channels, height, width.
        classes: a name for each label; empty where there are no labels.
        columns: of a table; None: these are images.
        targets: names of the values to predict; empty without these.
    """

    name: str
    shape: Shape
    classes: tuple[str, ...]
    columns: Columns | None = None
    targets: tuple[str, ...] = ()

    @property
    def n_features(self) -> int:
        """Number of features of an image."""
        return math.prod(self.shape)


def info_of(data: Mapping[str, Any]) -> DataInfo:
    """Shape and classes of the data set that the group ``data`` describes; reads file headers if possible.

    Raises:
        DataError, SettingError: the user's data cannot be read.
    """
    source = {key: value for key, value in data["source"].items() if key != "_target_"}
    find = READERS.get(str(data["source"]["_target_"]).removeprefix("dbn.data.").rsplit(".", 1)[-1])
    if find is not None and str(data["source"]["_target_"]).startswith("dbn."):
        shape, classes = find(source)
        return DataInfo(data["name"], shape, classes)
    loaded = load_data(hydra.utils.instantiate(data["source"]), validation=0)
    return DataInfo(loaded.name, loaded.shape, loaded.classes, loaded.columns, loaded.targets)


def _olivetti(source: Mapping[str, Any]) -> tuple[Shape, tuple[str, ...]]:
    people = tuple(str(person) for person in range(PEOPLE))
    return (1, source["size"], source["size"]), people if source["split"] == "image" else ()


def _npz(source: Mapping[str, Any]) -> tuple[Shape, tuple[str, ...]]:
    """Shape from the headers of the arrays, classes from the labels."""
    path = _there(source["path"], "an .npz file")
    try:
        with np.load(path, allow_pickle=False) as file:
            found = arrays_in(file)
            if source["images"] not in found and set(file.files) >= SPARSE_PARTS:
                raise ValueError("it is a sparse matrix")
            chosen = choose(path, found, {role: source[role] for role in ROLES})
            labels = file[chosen["labels"]] if "labels" in chosen else None
        shape = picture_shape(found[chosen["images"]].shape, "images have shape")
    except UserError:
        raise
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):  # the reader reports the error
        return _whole("dbn.data.npz", source)
    classes = () if labels is None else encode_labels({"labels": normalise_labels("labels", labels)})[1]
    return shape, classes


def _image_folder(source: Mapping[str, Any]) -> tuple[Shape, tuple[str, ...]]:
    """Shape of the first image, classes from the names of the folders."""
    folder = _there(source["path"], "a folder with one folder per class")
    train = split_folders(folder, source["labels"])["train"]
    files = images_by_class(train, Dropped()) if source["labels"] else all_images(train, Dropped())
    classes = tuple(sorted(files))
    reader = PictureReader(source["grey"], background_colour(source["background"]), picture_size(source["size"]))
    channels, height, width = reader.read(files[classes[0]][0]).shape
    return (channels, height, width), classes if source["labels"] else ()


def _whole(target: str, source: Mapping[str, Any]) -> tuple[Shape, tuple[str, ...]]:
    """Shape and classes after reading all of the data."""
    read = hydra.utils.instantiate({**source, "_target_": target})
    channels, height, width = read.train_images.shape[1:]
    return (channels, height, width), read.classes


def _memmap(source: Mapping[str, Any]) -> tuple[Shape, tuple[str, ...]]:
    """Shape from the headers of the files, classes from the labels."""
    from dbn.data.sources.memmap import memmap

    streamed = memmap(**source)
    return streamed.shape, streamed.classes


def _there(path: str | None, what: str) -> Path:
    if not path or not Path(path).expanduser().exists():
        raise DataError(f"data.path={path}: there is nothing there. Set it to {what}.")
    return Path(path).expanduser()


READERS: dict[str, Callable[[Mapping[str, Any]], tuple[Shape, tuple[str, ...]]]] = {
    "digits": lambda source: ((1, 8, 8), DIGITS),
    "mnist": lambda source: ((1, 28, 28), DIGITS),
    "fashion_mnist": lambda source: ((1, 28, 28), FASHION_CLASSES),
    "binarized_mnist": lambda source: ((1, 28, 28), ()),
    "newsgroups": lambda source: ((1, 1, N_WORDS), GROUPS),
    "easypr": lambda source: ((1, EASYPR_SIDE, EASYPR_SIDE), EASYPR_CLASSES),
    "olivetti": _olivetti,
    "npz": _npz,
    "image_folder": _image_folder,
    "memmap": _memmap,
    "mat": lambda source: _whole("dbn.data.mat", source),
}
"""By the name of the function that reads the data; other sources are read completely."""
