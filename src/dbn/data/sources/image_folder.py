"""A person's own images, as files in one folder per class."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from dbn.data.source import Source
from dbn.errors import DataError

EXTENSIONS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
SPLITS = {"train": "train", "test": "test", "validation": "validation", "val": "validation"}


def image_folder(path: str | Path | None, grey: bool = True, name: str = "image_folder") -> Source:
    """Images from a folder that has one folder per class; the folders' names are the classes, sorted.

    The folder may instead hold ``train/`` and, each may be left out, ``test/`` and ``validation/`` (or ``val/``), with
    one folder per class in each. Hidden files and files that are no images by their name are passed over.

    Args:
        path: of the folder.
        grey: True: one channel of grey values; False: three channels, red, green, blue. 256 levels each.
        name: what the data is called in messages and results.

    Raises:
        DataError: the folder is missing or empty, a class has no images, an image cannot be read or has another size
            than the first, or a class is tested but not trained.
    """
    if not path:
        raise DataError(f"data.path is not set: data={name} needs the path of a folder with one folder per class.")
    path = Path(path).expanduser()
    if not path.is_dir():
        raise DataError(f"{path} is not a folder. Set data.path to a folder with one folder of images per class.")
    folders = _split_folders(path)
    files = {split: _files_by_class(folder) for split, folder in folders.items()}
    classes = tuple(sorted(files["train"]))
    for split, by_class in files.items():
        if unseen := sorted(set(by_class) - set(classes)):
            raise DataError(
                f"{folders[split] / unseen[0]}: there is no folder {unseen[0]!r} in {folders['train']}. "
                "Add training images of that class, or take the folder away."
            )
    first = files["train"][classes[0]][0]
    read = {split: _read_all(by_class, classes, grey, first) for split, by_class in files.items()}
    images, labels = read["train"]
    test_images, test_labels = read.get("test", (None, None))
    validation_images, validation_labels = read.get("validation", (None, None))
    return Source(
        name=name,
        train_images=images,
        train_labels=labels,
        test_images=test_images,
        test_labels=test_labels,
        validation_images=validation_images,
        validation_labels=validation_labels,
        classes=classes,
        maximum=255.0,
    )


def _split_folders(path: Path) -> dict[str, Path]:
    """Where the class folders of each split are."""
    inside = {folder.name: folder for folder in _visible(path) if folder.is_dir()}
    if not inside:
        raise DataError(f"{path} has no folders in it. Put the images of each class into a folder of their own.")
    if not inside.keys() & SPLITS.keys():
        return {"train": path}
    others = sorted(inside.keys() - SPLITS.keys())
    if "train" not in inside or others or {"val", "validation"} <= inside.keys():
        raise DataError(
            f"{path} holds {', '.join(sorted(inside))}. Where one of train, test, validation is there, train must be, "
            "one of validation and val at most, and no other folder: class folders go inside them."
        )
    return {SPLITS[name]: folder for name, folder in inside.items()}


def _files_by_class(folder: Path) -> dict[str, list[Path]]:
    by_class = {
        inside.name: [file for file in _visible(inside) if file.suffix.lower() in EXTENSIONS]
        for inside in _visible(folder)
        if inside.is_dir()
    }
    if not by_class:
        raise DataError(f"{folder} has no class folders in it. Put the images of each class into a folder of its own.")
    for name, files in by_class.items():
        if not files:
            kinds = " ".join(sorted(EXTENSIONS))
            raise DataError(f"{folder / name} has no images in it ({kinds}). Add some, or take the folder away.")
    return by_class


def _visible(folder: Path) -> list[Path]:
    """What is in a folder, sorted by name: file systems list in an order of their own."""
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _read_all(
    by_class: dict[str, list[Path]], classes: tuple[str, ...], grey: bool, first: Path
) -> tuple[Tensor, Tensor]:
    """Images ``(n, channels, height, width)`` uint8 and labels ``(n,)``, all of the size of the image ``first``."""
    pairs = [(file, label) for label, name in enumerate(classes) for file in by_class.get(name, [])]
    reference = _read(first, grey)
    images = np.empty((len(pairs), *reference.shape), np.uint8)
    for place, (file, _) in enumerate(pairs):
        image = _read(file, grey)
        if image.shape != reference.shape:
            raise DataError(
                f"{file} is {_size(image)} pixels (width x height), but {first} is {_size(reference)}. "
                "Bring all images to one size."
            )
        images[place] = image
    return torch.from_numpy(images), torch.tensor([label for _, label in pairs])


def _size(image: NDArray[np.uint8]) -> str:
    return f"{image.shape[2]} x {image.shape[1]}"


def _read(file: Path, grey: bool) -> NDArray[np.uint8]:
    """One image, ``(channels, height, width)``."""
    try:
        with Image.open(file) as image:
            if image.mode[0] in "IF":  # converting to 8 bits would clip, not scale
                raise DataError(
                    f"{file} has pixels of more than 8 bits (mode {image.mode}). Save it with 8 bits, or put the "
                    "images into an .npz file and use data=npz with data.maximum."
                )
            pixels = np.asarray(image.convert("L" if grey else "RGB"))
    except DataError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{file} cannot be read as an image ({error}). Replace it or take it away.") from error
    return pixels[np.newaxis] if grey else pixels.transpose(2, 0, 1)
