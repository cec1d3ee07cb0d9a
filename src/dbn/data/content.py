"""What files hold, known by a hash: read once, and again only where size or time of a file has changed."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pooch

from dbn.files import write_json

log = logging.getLogger(__name__)

PIECE_BYTES = 1 << 20
SETTLED_SECONDS = 2.0
"""A file that was written so shortly ago might be written again without its time changing: its hash is not kept."""
LARGE_BYTES = 1 << 30
"""From here on, reading takes long enough for a word about it."""


@dataclass(frozen=True)
class Entry:
    """A file: its name below the folder that it was found in, and what shows that it has changed."""

    name: str
    path: Path
    size: int
    time: int


def content_of(path: str | Path) -> str | None:
    """Hash of what a file holds, or of the files in a folder and their names below it.

    The place of the file or folder is no part of it, nor are hidden files. Hashes are kept in the user's cache, beside
    sizes and times of the files (a nanosecond's difference is one), so that a large file is read once. Where the cache
    cannot be written, files are read every time.

    Args:
        path: of a file or folder.

    Returns:
        The first 32 hexadecimal digits of a SHA-256; None where there is no such file.
    """
    place = Path(path).expanduser()
    started = time.time()
    entries = sorted(_entries(place), key=lambda entry: entry.name)
    if not entries:
        return None
    signature = _hash(f"{entry.name}\0{entry.size}\0{entry.time}\n" for entry in entries)
    kept = _kept_file(place)
    found = _read_kept(kept)
    if found.get("signature") == signature:
        return str(found["content"])
    size = sum(entry.size for entry in entries)
    if size >= LARGE_BYTES:
        log.info("%s: reading %.1f GiB once, to know them by their content.", place, size / 2**30)
    if place.is_dir():
        content = _hash(f"{_hash_of_file(entry.path)}  {entry.name}\n" for entry in entries)
    else:
        content = _hash_of_file(place)
    if max(entry.time for entry in entries) / 1e9 < started - SETTLED_SECONDS:
        with suppress(OSError):  # a read-only home: hash again next time
            write_json(kept, {"path": str(place.absolute()), "signature": signature, "content": content})
    return content


def _entries(place: Path) -> Iterator[Entry]:
    """The files at ``place``, hidden ones left out."""
    if place.is_file():
        files = [("", place)]
    else:
        files = [
            ((folder / name).relative_to(place).as_posix(), folder / name)
            for folder, folders, names in _walk(place)
            for name in names
            if not name.startswith(".")
        ]
    for name, path in files:
        status = path.stat()
        yield Entry(name, path, status.st_size, status.st_mtime_ns)


def _walk(place: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    for folder, folders, names in os.walk(place, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield Path(folder), folders, [name for name in names if (Path(folder) / name).is_file()]


def _hash(lines: Iterator[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def _hash_of_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()[:32]


def _kept_file(place: Path) -> Path:
    """Where the hash of what lies at ``place`` is kept."""
    name = hashlib.sha256(str(place.absolute()).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return Path(pooch.os_cache("layerwise-dbn")) / "content" / f"{name}.json"


def _read_kept(file: Path) -> dict[str, str]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
