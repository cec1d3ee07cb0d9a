"""Snapshots of a study's code, ``runs/<study>/code/<hash>/``: what its jobs import, whatever becomes of the checkout.

A snapshot holds the packages, ``conf/``, the user's modules that configurations name by ``_target_``, and the user's
folders of configurations. It is written once, whole or not at all, shared between jobs, and never changed: other code
has another hash. ``PYTHONPATH=<snapshot>`` makes any command run from it.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from hashlib import sha256
from importlib import metadata
from pathlib import Path

from dbn.files import write_text
from dbn.runs.checkout import checkout_state
from dbn.runs.code import DIGITS, SNAPSHOT, files_of, package_files, snapshot_name, snapshot_root
from dbn.runs.user_code import user_files

FOLDER = "code"
"""Folder of a study that holds its snapshots and lists of the packages that were installed."""
CONFIGURATIONS = "configurations"
"""Folder of a snapshot with the user's folders of configurations, by number: the first is searched first."""


def take_snapshot(study: Path, targets: Iterable[str] = (), configurations: Sequence[Path] = ()) -> Path:
    """Keep the code of this process, or find it kept.

    Args:
        study: directory of the study.
        targets: dotted names of classes and functions that configurations name; the user's modules among them, and what
            those import of the user's, are kept too.
        configurations: the user's folders of configurations, in the order in which they are searched.

    Returns:
        The snapshot's directory, absolute.
    """
    files = package_files() | user_files(targets)
    for number, folder in enumerate(configurations):
        found = _configurations_in(folder.resolve(), study.resolve())
        files |= {f"{CONFIGURATIONS}/{number}/{name}": file for name, file in found.items()}
    code = (study / FOLDER).absolute()
    snapshot = code / snapshot_name(files)
    record_packages(study)
    if snapshot.is_dir():
        return snapshot
    code.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished_", dir=code))
    try:
        for name, file in files.items():
            target = unfinished / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        if snapshot_name(files_of(unfinished)) != snapshot.name:  # edited while it was copied
            return take_snapshot(study, targets, configurations)
        facts = {"taken": time.time(), "python": sys.version.split()[0], "git": checkout_state()}
        (unfinished / SNAPSHOT).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        for file in files_of(unfinished).values():
            file.chmod(0o444 & ~_umask())
        unfinished.chmod(0o777 & ~_umask())  # mkdtemp's 0700 would hide it from colleagues
        try:
            unfinished.rename(snapshot)
        except OSError:  # another process was faster
            if not snapshot.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return snapshot


def frozen_configurations() -> list[Path]:
    """Folders of the user's configurations in the snapshot that this process runs from, in the order of the search."""
    root = snapshot_root()
    if root is None or not (root / CONFIGURATIONS).is_dir():
        return []
    return sorted((root / CONFIGURATIONS).iterdir(), key=lambda path: int(path.name))


def record_packages(study: Path) -> str:
    """Write which packages are installed, as pip reads it, unless a file of the study says the same.

    Returns:
        The file's name in the study, ``code/packages_<hash>.txt``.
    """
    installed = {
        f"{found.metadata['Name']}=={found.version}" for found in metadata.distributions() if found.metadata["Name"]
    }
    own = f"layerwise-dbn=={metadata.version('layerwise-dbn')}"  # the snapshot itself
    text = "".join(f"{line}\n" for line in sorted(installed - {own}, key=str.lower))
    name = f"{FOLDER}/packages_{sha256(text.encode()).hexdigest()[:DIGITS]}.txt"
    if not (study / name).is_file():
        write_text(study / name, text)
    return name


def _configurations_in(folder: Path, study: Path) -> dict[str, Path]:
    """Files of configurations, without those that runs have written, where ``--config-dir`` is above them."""
    runs = study.parent
    written = runs if runs != folder and runs.is_relative_to(folder) else study
    return {
        name: file
        for name, file in files_of(folder).items()
        if file.suffix in (".yaml", ".yml") and not file.is_relative_to(written)
    }


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
