"""Files: the package's own configuration, atomic writing, and times of writing as text."""

import datetime
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

UNFINISHED = ".part"
"""Suffix of temporary files."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary file beside ``path`` and renames it to ``path`` when the block ends without an error.

    If the process is killed before that, the file at ``path`` is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=UNFINISHED, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp's 0600 would hide results from colleagues
        temporary.replace(path)
    except OSError as error:
        if error.filename is None:  # of a write
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write ``content`` to ``path`` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically, in UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` to ``path`` as JSON, atomically."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def time_of(file: Path) -> str:
    """Modification time of a file as text."""
    written = datetime.datetime.fromtimestamp(file.stat().st_mtime).astimezone()
    return written.strftime("%d %B %Y, %H:%M:%S")


def config_directory() -> Path:
    """The folder ``conf/`` of the source checkout, or else of the installed package."""
    package = Path(__file__).resolve().parent
    checkout = package.parents[1]
    return checkout / "conf" if (checkout / "pyproject.toml").is_file() else package / "conf"
