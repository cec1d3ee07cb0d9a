"""Hashes of the content of files, cached until the size or modification time of a file changes."""

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
"""A file that was modified more recently may change again without a new modification time: its hash is not cached."""
LARGE_BYTES = 1 << 30
"""Size from which reading is announced in the log."""


@dataclass(frozen=True)
class Entry:
    """A file: its name relative to the hashed folder, its path, size in bytes, and modification time in ns."""

    name: str
    path: Path
    size: int
    time: int


def content_of(path: str | Path) -> str | None:
    """Hash of the content of a file, or of the files in a folder and their relative names.

    It does not depend on where the file or folder is, nor on hidden files. Hashes are kept in the user's cache with the
    sizes and modification times of the files, so that a large file is read once. If the cache cannot be written, files
    are read every time.

    Args:
        path: of a file or folder.

    Returns:
        The first 32 hexadecimal digits of a SHA-256; None where there is no such file.
    """
    location = Path(path).expanduser()
    started = time.time()
    entries = sorted(_entries(location), key=lambda entry: entry.name)
    if not entries:
        return None
    signature = _hash(f"{entry.name}\0{entry.size}\0{entry.time}\n" for entry in entries)
    kept = _kept_file(location)
    found = _read_kept(kept)
    if found.get("signature") == signature:
        return str(found["content"])
    size = sum(entry.size for entry in entries)
    if size >= LARGE_BYTES:
        log.info("%s: reading %.1f GiB once, to know them by their content.", location, size / 2**30)
    if location.is_dir():
        content = _hash(f"{_hash_of_file(entry.path)}  {entry.name}\n" for entry in entries)
    else:
        content = _hash_of_file(location)
    if max(entry.time for entry in entries) / 1e9 < started - SETTLED_SECONDS:
        with suppress(OSError):  # read-only cache
            write_json(kept, {"path": str(location.absolute()), "signature": signature, "content": content})
    return content


def _entries(location: Path) -> Iterator[Entry]:
    """The file at ``location``, or the files below it without hidden ones."""
    if location.is_file():
        files = [("", location)]
    else:
        files = [
            ((folder / name).relative_to(location).as_posix(), folder / name)
            for folder, folders, names in _walk(location)
            for name in names
            if not name.startswith(".")
        ]
    for name, path in files:
        status = path.stat()
        yield Entry(name, path, status.st_size, status.st_mtime_ns)


def _walk(location: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    for folder, folders, names in os.walk(location, followlinks=True):
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


def _kept_file(location: Path) -> Path:
    """Cache file for the hash of the content at ``location``."""
    name = hashlib.sha256(str(location.absolute()).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return Path(pooch.os_cache("layerwise-dbn")) / "content" / f"{name}.json"


def _read_kept(file: Path) -> dict[str, str]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
