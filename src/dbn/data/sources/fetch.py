"""Find a data file on this machine or download it, and check its hash."""

import gzip
import hashlib
import logging
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import pooch

from dbn.errors import DataError

log = logging.getLogger(__name__)


def find_or_fetch(
    name: str,
    filename: str,
    sha256: str,
    urls: Sequence[str],
    root: str | Path | None = None,
    *,
    or_gzipped: bool = False,
    or_sha256: Sequence[str] = (),
) -> Path:
    """Path of a file whose content has the hash ``sha256``.

    Searched for in this order: ``root/name/filename``, ``root/filename``, ``name/filename`` in the user's cache. An
    existing file is used or refused, never overwritten. Otherwise it is downloaded to ``root/name`` if that is
    writable, else to the cache.

    Args:
        name: of the data set and of its folder.
        filename: of the file.
        sha256: of its content, in hexadecimal.
        urls: full addresses, tried in turn.
        root: data folder; None: the environment variable ``DBN_DATA``, or only the cache if that is not set.
        or_gzipped: also accept ``filename.gz``; the hash is that of the decompressed content.
        or_sha256: further accepted hashes of existing files.

    Raises:
        DataError: the existing file has another hash, or there is none and no download succeeds.
    """
    folder, cache = _folder(root), _cache(name)
    for directory in search_folders(name, root):
        for found in [directory / filename, *([directory / f"{filename}.gz"] if or_gzipped else [])]:
            if found.is_file():
                _check_hash(found, [sha256, *or_sha256], unpack=found.name != filename)
                return found
    target = folder / name if folder and _writable(folder / name) else cache
    return _download(name, filename, sha256, urls, target, wanted=(folder or Path("<folder of data>")) / name)


def search_folders(name: str, root: str | Path | None = None) -> list[Path]:
    """Folders in which files of a data set are searched for, in order; see :func:`find_or_fetch`."""
    folder = _folder(root)
    return [folder / name, folder, _cache(name)] if folder else [_cache(name)]


def _folder(root: str | Path | None) -> Path | None:
    root = root or os.environ.get("DBN_DATA")
    return Path(root).expanduser() if root else None


def _cache(name: str) -> Path:
    return Path(pooch.os_cache("layerwise-dbn")) / name


def _check_hash(path: Path, accepted: Sequence[str], *, unpack: bool) -> None:
    digest = hashlib.sha256()
    try:
        with gzip.open(path) if unpack else path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is damaged ({error}). Move it away or replace it; it was left as it is.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}). Check its permissions, or replace it.") from error
    if digest.hexdigest() not in accepted:
        raise DataError(
            f"{path} is not the file it should be: its {'decompressed ' if unpack else ''}content has sha256 "
            f"{digest.hexdigest()}, expected {' or '.join(accepted)}. Replace it, or move it away to have it "
            "downloaded; it was left as it is."
        )


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _download(name: str, filename: str, sha256: str, urls: Sequence[str], target: Path, wanted: Path) -> Path:
    pooch.get_logger().setLevel(logging.WARNING)  # replaced by the message below
    errors = []
    for url in urls:
        log.info("downloading %s to %s", url, target)
        try:
            return Path(pooch.retrieve(url, known_hash=f"sha256:{sha256}", fname=filename, path=target))
        except (OSError, ValueError) as error:  # no network, refused, not found; wrong hash
            errors.append(f"{url}: {str(error) or type(error).__name__}")
    raise DataError(
        f"{filename} of data={name} is not on this machine and could not be downloaded. Where there is internet, on "
        f"the login node of a cluster, run: dbn-data fetch {name}. Or get it from one of the addresses below (sha256 "
        f"{sha256}) and put it at {wanted / filename}. The folder of data is data.root, "
        "by default the environment variable DBN_DATA. What was tried:\n  " + "\n  ".join(errors)
    )
