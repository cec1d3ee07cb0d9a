"""Characters of Chinese licence plates, from the archives of the plate recogniser EasyPR."""

import hashlib
import io
import logging
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dbn.data.source import Source
from dbn.data.sources.fetch import find_or_fetch, search_folders
from dbn.data.split.groups import contradictory_images
from dbn.errors import DataError

log = logging.getLogger(__name__)

REPOSITORY = "https://raw.githubusercontent.com/wzh191920/License-Plate-Recognition"
URLS = (f"{REPOSITORY}/34ba808/train/", f"{REPOSITORY}/master/train/")
SHA256 = {
    "chars2": "dfa87bac354f784c0b4e98f87822a1b4071c6e7178e20547e007ce4adf6ae60d",
    "charsChinese": "3544ffef01b960db987e51dca4a4ca43ba5c41e2717840a98136929f29e012c4",
}
"""Hashes of the archives ``<name>.7z``."""
CONTENT_SHA256 = {
    "chars2": "e382738e9ef97e360cbba6ac890e046571fafa06409cf503462bca3ea7260cd5",
    "charsChinese": "b92cda1108efac93a462c3bf210e036fa106bbe1b2e62031a0a135bdfaa74451",
}
"""Hashes of the unpacked folders, see :func:`content_hash`."""
SIDE = 20
CLASSES = (
    *"0123456789ABCDEFGHJKLMNPQRSTUVWXYZ",
    "zh_cuan", "zh_e", "zh_gan", "zh_gan1", "zh_gui", "zh_gui1", "zh_hei", "zh_hu", "zh_ji", "zh_jin", "zh_jing",
    "zh_jl", "zh_liao", "zh_lu", "zh_meng", "zh_min", "zh_ning", "zh_qing", "zh_qiong", "zh_shan", "zh_su", "zh_sx",
    "zh_wan", "zh_xiang", "zh_xin", "zh_yu", "zh_yu1", "zh_yue", "zh_yun", "zh_zang", "zh_zhe",
)  # fmt: skip
"""EasyPR's order of its ``kChars``: digits, letters without I and O, the provinces' characters."""


def easypr(root: str | Path | None = None) -> Source:
    """Licence plate characters: 16395 images of 20 x 20 grey pixels, 65 classes (34 digits and letters, 31 provinces).

    Only 13143 pictures are distinct; the others are exact copies, which a random split would put into both training and
    test images. So images are grouped by picture, see ``copies`` of :class:`Source`: copies of a training picture all
    stay in training, a test or validation set has each of its pictures once. Seven pictures (15 images) have two
    labels, of which one must be wrong; they stay in training and are never held out.

    Args:
        root: data folder; ``chars2.7z`` and ``charsChinese.7z``, or the folders they unpack to, are in it or in its
            folder ``easypr/``; None: see :func:`find_or_fetch`. The download addresses have not been tried; the hashes
            are known.

    Raises:
        DataError: a file or folder has other content, or is missing and cannot be downloaded.

    References:
        EasyPR, https://github.com/liuruoze/EasyPR (Apache License 2.0).
    """
    images, labels, names = [], [], []
    for archive in SHA256:
        for path, content in sorted(read_files(archive, root).items()):
            images.append(_decode(path, content))
            labels.append(CLASSES.index(PurePosixPath(path).parent.name))
            names.append(path)
    pixels = np.stack(images)
    numbers = torch.tensor(labels)
    groups = torch.from_numpy(np.unique(pixels.reshape(len(pixels), -1), axis=0, return_inverse=True)[1].reshape(-1))
    unclear = contradictory_images(groups, numbers)
    log.info(
        "data=easypr: %d images of %d pictures; %d of these (%d images) have several labels and stay in training",
        len(pixels), len(groups.unique()), len(groups[unclear].unique()), int(unclear.sum()),
    )  # fmt: skip
    return Source(
        name="easypr",
        train_images=torch.from_numpy(pixels).unsqueeze(1),
        train_labels=numbers,
        classes=CLASSES,
        maximum=255.0,
        groups=groups,
        copies=True,
        names=tuple(names),
    )


def read_files(archive: str, root: str | Path | None = None) -> dict[str, bytes]:
    """The image files of an archive, or of the folder it unpacks to.

    Args:
        archive: "chars2" or "charsChinese".
        root: see :func:`easypr`.

    Returns:
        Content by path, ``<archive>/<class>/<name>.jpg``.

    Raises:
        DataError: see :func:`easypr`.
    """
    filename = f"{archive}.7z"
    for folder in search_folders("easypr", root):
        if not (folder / filename).is_file() and (folder / archive).is_dir():
            return _read_folder(folder / archive)
    path = find_or_fetch("easypr", filename, SHA256[archive], [url + filename for url in URLS], root)
    from py7zr import SevenZipFile  # here: a slow import that no other data set needs
    from py7zr.io import BytesIOFactory

    files = BytesIOFactory(limit=path.stat().st_size * 100)
    with SevenZipFile(path) as packed:
        packed.extractall(factory=files)
    return {name: file.read() for name, file in files.products.items() if name.endswith(".jpg")}


def content_hash(files: Mapping[str, bytes]) -> str:
    """SHA-256 over the paths and the hashes of files, in the order of the paths."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n".encode())
    return digest.hexdigest()


def _read_folder(folder: Path) -> dict[str, bytes]:
    files = {path.relative_to(folder.parent).as_posix(): path.read_bytes() for path in folder.glob("*/*.jpg")}
    found = content_hash(files)
    if found != CONTENT_SHA256[folder.name]:
        raise DataError(
            f"{folder} does not hold what {folder.name}.7z does: {len(files)} images <class>/<name>.jpg, whose list of "
            f"hashes has sha256 {found}, expected {CONTENT_SHA256[folder.name]}. Put the archive in its place."
        )
    return files


def _decode(path: str, content: bytes) -> NDArray[np.uint8]:
    """Grey pixels ``(20, 20)``; of the few colour files the stored luminance, which OpenCV reads as well."""
    with Image.open(io.BytesIO(content)) as image:
        image.draft("L", image.size)
        pixels = np.asarray(image.convert("L"))
    if pixels.shape != (SIDE, SIDE):
        raise DataError(f"{path} of data=easypr has {pixels.shape} pixels, not 20 x 20. Get the archive again.")
    return pixels
