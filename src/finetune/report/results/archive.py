"""A study's results as one file: reports are written from it without training, and unpacked it is a study again."""

import io
import lzma
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from dbn.errors import DataError
from dbn.files import write_bytes
from finetune.report.results.run_result import STAGES

SUFFIX = ".tar.xz"
RESULT = "result.json"
KEPT = (RESULT, "predictions.safetensors", "metrics.csv")
"""Files of a run that an archive holds: no weights, checkpoints or pictures."""
PLAN = "sweep.json"


def is_archive(path: Path) -> bool:
    """Whether a path names an archive, by its suffix."""
    return path.name.endswith(SUFFIX)


def write_archive(study: Path, file: Path) -> None:
    """Write the results of a study's completed runs, and its plan, to ``file``; the same results give the same bytes.

    Args:
        study: the study's directory.
        file: ``<name>.tar.xz``; unpacked it gives a folder with the study's name.

    Raises:
        DataError: no run of the study is complete.
    """
    done = [path.parent for stage in STAGES for path in sorted((study / stage).glob("*/result.json"))]
    if not done:
        raise DataError(f"{study}: no run has a result yet, so there is nothing to keep in {file}.")
    # File by file over all runs: what resembles each other lies together, and is compressed to little.
    paths = [run / name for name in KEPT for run in done if (run / name).is_file()]
    paths += [study / PLAN] if (study / PLAN).is_file() else []
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:xz", preset=6) as archive:
        for path in paths:
            data = path.read_bytes()
            member = tarfile.TarInfo(f"{study.resolve().name}/{path.relative_to(study).as_posix()}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    write_bytes(file, content.getbuffer())


def unpack(file: Path, folder: Path) -> Path:
    """Unpack an archive into ``folder``, to what is there of the study already; returns the study's directory.

    Raises:
        DataError: the archive is missing or damaged, holds something else than a study, or a run in the folder has
            another result.
    """
    try:
        with tarfile.open(file, "r:xz") as archive, TemporaryDirectory() as temporary:
            archive.extractall(temporary, filter="data")  # refuses links and paths that lead elsewhere
            found = sorted(path for path in Path(temporary).rglob("*") if path.is_file())
            contents = {path.relative_to(temporary): path.read_bytes() for path in found}
    except (OSError, EOFError, lzma.LZMAError, tarfile.TarError) as error:
        raise DataError(
            f"{file} cannot be read as an archive of a study ({error}). dbn-report runs/<study> archive={file.name} "
            "writes one."
        ) from error
    studies = {path.parts[0] for path in contents}
    if len(studies) != 1 or not all(is_expected(path) for path in contents):
        raise DataError(f"{file} holds something else than one study. dbn-report runs/<study> archive=... writes one.")
    for path, content in contents.items():
        there = folder / path
        if path.name == RESULT and there.is_file() and there.read_bytes() != content:
            raise DataError(
                f"{there} is another result than that of {file}. Unpack it into another folder, output=..., or move "
                "that run away."
            )
    # Results last: a run without result.json is not complete.
    for path in sorted(contents, key=lambda path: path.name == RESULT):
        if not (folder / path).is_file():
            write_bytes(folder / path, contents[path])
    return folder / studies.pop()


def is_expected(path: Path) -> bool:
    """Whether an archive may hold a file: ``<study>/sweep.json``, ``<study>/<stage>/<run>/result.json``, ..."""
    if len(path.parts) == 2:
        return path.name == PLAN
    return len(path.parts) == 4 and path.parts[1] in STAGES and path.name in KEPT
