"""Identities of runs in Weights & Biases, kept in their directories, and of the run that holds their study's report."""

import os
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path

from dbn.files import write_text

WANDB_ID = "wandb_id"


def identity_of(directory: Path, given: str | None = None) -> str:
    """Identity of a directory's run: a new one the first time, whichever of several processes asks first.

    Args:
        directory: of the run; of a study for its report.
        given: identity that replaces it, as an agent gives one.
    """
    file = directory / WANDB_ID
    if given is not None:
        write_text(file, given)
    elif not file.is_file():
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=directory, prefix=f".{WANDB_ID}.") as new:
            new.write(uuid.uuid4().hex[:12])
            new.flush()
            with suppress(FileExistsError):
                os.link(new.name, file)
    return file.read_text(encoding="utf-8").strip()


def note_of_report(study: Path, url: str | None = None) -> str:
    """What a run's notes say of its study's report.

    Args:
        study: directory of the study.
        url: of the run itself, if the service has told it.
    """
    report = identity_of(study)
    place = f"run {report} of this project" if url is None else f"{url.rpartition('/')[0]}/{report}"
    return f"Report of the study {study.name}: {place}"


def runs_of(study: Path) -> list[tuple[str, str, str]]:
    """Job type, name and identity of every tracked run of a study, in this order."""
    files = sorted(study.glob(f"*/*/{WANDB_ID}"))
    return [(file.parts[-3], file.parts[-2], file.read_text(encoding="utf-8").strip()) for file in files]
