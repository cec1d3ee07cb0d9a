"""The user's images as picture files, one folder per class."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dbn.data.source import Source
from dbn.data.sources.picture_file import PictureReader, background_colour, picture_size
from dbn.data.value_of_one import LARGE_BYTE
from dbn.errors import DataError, SettingError

log = logging.getLogger(__name__)

EXTENSIONS = {
    ".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
}  # fmt: skip
SPLITS = {"train": "train", "test": "test", "validation": "validation", "val": "validation"}


def image_folder(
    path: str | Path | None,
    grey: bool = True,
    name: str = "image_folder",
    *,
    background: str | int = "white",
    size: Any = None,
    labels: bool = True,
    maximum: float = 255.0,
) -> Source:
    """Read a folder that has one folder per class; the classes are the sorted names of these folders.

    The folder may instead hold ``train/`` and optionally ``test/`` and ``validation/`` (or ``val/``), each with one
    folder per class. Images are in the order of their paths and may be in nested folders, as in torchvision's
    ``ImageFolder``. Hidden files are ignored; a warning counts files without an image's extension, images outside the
    class folders, and images in nested folders.

    Pictures are read as a viewer shows them, see :class:`dbn.data.sources.picture_file.PictureReader`.

    Args:
        path: of the folder.
        grey: True: one channel of grey values; False: three channels, red, green, blue. 256 levels each.
        name: name of the data in messages and results.
        background: colour behind transparent pixels: a colour's name, a grey value from 0 to 255, or "#rrggbb".
        size: pixels to resize every image to: a number for height and width, or ``[height, width]``, without keeping
            the aspect ratio. None: all images must have one size.
        labels: False: folders are no classes; images may then be anywhere in the folder.
        maximum: pixel value, from 0 to 255, that stands for 1.0.

    Raises:
        DataError: the folder is missing or empty, a class has no images, an image cannot be read or has another size
            than the first, or a class of test or validation images has no training images.
        SettingError: ``background``, ``size``, ``grey``, ``labels`` or ``maximum`` is invalid.
    """
    for key, value in (("grey", grey), ("labels", labels)):
        if not isinstance(value, bool):
            raise SettingError(f"data.{key}={value}: use true or false.")
    reader = PictureReader(grey, background_colour(background), picture_size(size))
    if not path:
        raise DataError(f"data.path is not set: data={name} needs the path of a folder with one folder per class.")
    path = Path(path).expanduser()
    if not path.is_dir():
        raise DataError(f"{path} is not a folder. Set data.path to a folder with one folder of images per class.")
    dropped = Dropped()
    folders = split_folders(path, labels)
    listed = {
        split: images_by_class(folder, dropped) if labels else all_images(folder, dropped)
        for split, folder in folders.items()
    }
    classes = tuple(sorted(listed["train"]))
    for split, by_class in listed.items():
        if unseen := sorted(set(by_class) - set(classes)):
            raise DataError(
                f"{folders[split] / unseen[0]}: there is no folder {unseen[0]!r} in {folders['train']}. "
                "Add training images of that class, or take the folder away."
            )
    dropped.warn(path)
    first = listed["train"][classes[0]][0]
    read = {split: _read_all(by_class, classes, reader, first) for split, by_class in listed.items()}
    brightest = max(int(images.max()) for images, _ in read.values())
    if brightest < LARGE_BYTE and maximum == 255:
        log.warning(
            "%s: the brightest pixel of all images is %d of 255; data.maximum=%d would make it 1.0", path, brightest,
            max(1, brightest),
        )  # fmt: skip
    images, numbers = read["train"]
    names = {split: file_names(by_class, classes, path) for split, by_class in listed.items()}
    test_images, test_labels = read.get("test", (None, None))
    validation_images, validation_labels = read.get("validation", (None, None))
    return Source(
        name=name,
        train_images=images,
        train_labels=numbers if labels else None,
        test_images=test_images,
        test_labels=test_labels if labels else None,
        validation_images=validation_images,
        validation_labels=validation_labels if labels else None,
        classes=classes if labels else (),
        maximum=maximum,
        names=names["train"],
        test_names=names.get("test", ()),
        validation_names=names.get("validation", ()),
        two_classes_advice=f"Put images of two classes or more into {folders['train']}, a folder each, or set "
        "data.labels=false: folders are no classes then.",
    )


def file_names(by_class: dict[str, list[Path]], classes: tuple[str, ...], path: Path) -> tuple[str, ...]:
    """Names of the files of a split relative to ``path``, in the order of its images."""
    return tuple(file.relative_to(path).as_posix() for name in classes for file in by_class.get(name, []))


@dataclass
class Dropped:
    """Files to warn about: skipped ones, and images in nested folders.

    Attributes:
        others: files without an image's extension.
        beside: images outside the class folders.
        nested: images in folders inside class folders, which are read.
    """

    others: list[Path] = field(default_factory=list)
    beside: list[Path] = field(default_factory=list)
    nested: list[Path] = field(default_factory=list)

    def warn(self, path: Path) -> None:
        """Log the number of files of each kind, and an example."""
        kinds = " ".join(sorted(EXTENSIONS))
        for files, what in (
            (self.others, f"not read, as no images by their name ({kinds})"),
            (self.beside, "not read, as they lie in no class's folder"),
            (self.nested, "read from folders inside the classes' folders"),
        ):
            if files:
                log.warning("%s: %d files are %s: %s%s", path, len(files), what, files[0].relative_to(path),
                            " and others" if len(files) > 1 else "")  # fmt: skip


def split_folders(path: Path, labels: bool) -> dict[str, Path]:
    """Folder of each split."""
    inside = {entry.name: entry for entry in _visible(path) if entry.is_dir()}
    if not inside and labels:
        raise DataError(
            f"{path} has no folders in it. Put the images of each class into a folder of their own; or set "
            "data.labels=false to have images without labels."
        )
    if not inside.keys() & SPLITS.keys():
        return {"train": path}
    others = sorted(inside.keys() - SPLITS.keys())
    if "train" not in inside or others or {"val", "validation"} <= inside.keys():
        raise DataError(
            f"{path} holds {', '.join(sorted(inside))}. Where one of train, test, validation is there, train must be, "
            "one of validation and val at most, and no other folder: class folders go inside them."
        )
    return {SPLITS[name]: folder for name, folder in inside.items()}


def images_by_class(folder: Path, dropped: Dropped) -> dict[str, list[Path]]:
    """Image files by name of the class."""
    by_class = {}
    for entry in _visible(folder):
        if entry.is_dir():
            files = _images(entry, dropped)
            if not files:
                kinds = " ".join(sorted(EXTENSIONS))
                raise DataError(f"{entry} has no images in it ({kinds}). Add some, or take the folder away.")
            by_class[entry.name] = files
            dropped.nested += [file for file in files if file.parent != entry]
        else:
            (dropped.beside if is_image(entry) else dropped.others).append(entry)
    if not by_class:
        raise DataError(f"{folder} has no class folders in it. Put the images of each class into a folder of its own.")
    return by_class


def all_images(folder: Path, dropped: Dropped) -> dict[str, list[Path]]:
    """All image files, as those of one class with an empty name."""
    files = _images(folder, dropped)
    if not files:
        raise DataError(
            f"{folder} has no images in it ({' '.join(sorted(EXTENSIONS))}). Set data.path to a folder of them."
        )
    return {"": files}


def _images(folder: Path, dropped: Dropped) -> list[Path]:
    """Image files in a folder and its subfolders, sorted; links are followed."""
    files: list[Path] = []
    seen, waiting = {folder.resolve()}, [folder]
    while waiting:
        for entry in _visible(waiting.pop()):
            if not entry.is_dir():
                (files if is_image(entry) else dropped.others).append(entry)
            elif entry.resolve() not in seen:  # links may be circular
                seen.add(entry.resolve())
                waiting.append(entry)
    return sorted(files)


def is_image(file: Path) -> bool:
    """Whether a file has an image's extension."""
    return file.suffix.lower() in EXTENSIONS


def _visible(folder: Path) -> list[Path]:
    """Entries of a folder without hidden ones, sorted by name."""
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _read_all(
    by_class: dict[str, list[Path]], classes: tuple[str, ...], reader: PictureReader, first: Path
) -> tuple[Tensor, Tensor]:
    """Images ``(n, channels, height, width)`` uint8 and labels ``(n,)``, all of the size of the image ``first``."""
    pairs = [(file, label) for label, name in enumerate(classes) for file in by_class.get(name, [])]
    reference = reader.read(first)
    images = np.empty((len(pairs), *reference.shape), np.uint8)
    for number, (file, _) in enumerate(pairs):
        image = reader.read(file)
        if image.shape != reference.shape:
            height, width = reference.shape[1:]
            size = f"data.size={height}" if height == width else f"'data.size=[{height},{width}]' (height, width)"
            raise DataError(
                f"{file} is {_size(image)} pixels (width x height), but {first} is {_size(reference)}. "
                f"Set {size} to have all images resized to that, or another size."
            )
        images[number] = image
    return torch.from_numpy(images), torch.tensor([label for _, label in pairs])


def _size(image: NDArray[np.uint8]) -> str:
    return f"{image.shape[2]} x {image.shape[1]}"
