"""Which code a process runs: a hash of the files of the package and of ``conf/``, wherever they lie."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dbn.files import config_directory
from dbn.runs.checkout import checkout_state

log = logging.getLogger(__name__)

PACKAGES = ("dbn", "finetune", "hydra_plugins/layerwise_dbn")
"""The package's own folders, beside each other in a checkout's ``src/``, an installation, and a snapshot."""
SNAPSHOT = "snapshot.json"
"""File at the top of a snapshot, see :mod:`dbn.runs.snapshot`."""
DIGITS = 10


@dataclass(frozen=True)
class RunningCode:
    """The code that this process runs.

    Attributes:
        name: hash of the package's files; in a snapshot with files of the user's, ``<hash>_<hash of those>``.
        root: the snapshot that the process runs from; None for a checkout or an installed package.
        git: commit of the checkout that it is or was taken from, see :func:`dbn.runs.checkout.checkout_state`.
    """

    name: str
    root: Path | None
    git: Mapping[str, Any] | None


@cache  # the code that was imported, whatever the checkout holds later
def running_code() -> RunningCode:
    """The code that this process runs, as it is when this is called first."""
    root = snapshot_root()
    if root is None:
        return RunningCode(digest_of(package_files()), None, checkout_state())
    files = files_of(root)
    files.pop(SNAPSHOT)
    name = snapshot_name(files)
    if name != root.name:
        log.warning("%s: this snapshot of the code was edited; it is code %s now.", root, name)
    return RunningCode(name, root, json.loads((root / SNAPSHOT).read_text(encoding="utf-8"))["git"])


def current_code() -> RunningCode:
    """The code as it is on the disk now, for those who look long after they were started."""
    return running_code.__wrapped__()


def source_root() -> Path:
    """The folder that the package is imported from."""
    return Path(__file__).resolve().parents[2]


def snapshot_root() -> Path | None:
    """The snapshot that the package is imported from, without a look at its files; None: it is from none."""
    root = source_root()
    return root if (root / SNAPSHOT).is_file() else None


def package_files() -> dict[str, Path]:
    """The package's files by their names in a snapshot, where ``conf/`` lies in ``dbn/`` as in an installed package."""
    root = source_root()
    files = {f"{package}/{name}": file for package in PACKAGES for name, file in files_of(root / package).items()}
    return files | {f"dbn/conf/{name}": file for name, file in files_of(config_directory()).items()}


def files_of(folder: Path) -> dict[str, Path]:
    """Files below a folder by their relative names, without what Python compiles."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.suffix != ".pyc" and path.is_file()
    }


def snapshot_name(files: Mapping[str, Path]) -> str:
    """Name of a snapshot of these files: hash of the package, ``_`` and hash of the user's files if there are any."""
    own = {name: file for name, file in files.items() if name.startswith(tuple(f"{package}/" for package in PACKAGES))}
    users = {name: file for name, file in files.items() if name not in own}
    return f"{digest_of(own)}_{digest_of(users)}" if users else digest_of(own)


def digest_of(files: Mapping[str, Path]) -> str:
    """Hexadecimal digits of a hash of names and contents."""
    total = hashlib.sha256()
    for name in sorted(files):
        content = files[name].read_bytes()
        total.update(f"{name}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()[:DIGITS]
