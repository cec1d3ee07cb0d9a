"""Which images a person's files held when a study was first trained on them: ``data.json`` in the study's folder.

A file that is overwritten while a study goes on would put two data sets under one name, side by side in one report.
"""

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from dbn.errors import RunConflictError
from dbn.files import write_json

RECORD = "data.json"


def check_same_data(study: Path, config: Mapping[str, Any]) -> None:
    """Refuse a file of one's own that has changed since the study has results on it.

    Args:
        study: the study's directory.
        config: of a run that is to be done, with ``data.content``.

    Raises:
        RunConflictError: it has, or the record cannot be read.
    """
    data = config.get("data")
    if not isinstance(data, Mapping) or data.get("content") is None:
        return
    path, before = data["path"], _read(study).get(_key(data["path"]))
    if before is not None and before["content"] != data["content"]:
        raise RunConflictError(
            f"data.path={path} has changed: it held other images when {before['run']} was made ({before['date']}), and "
            "other images are another data set. Give them a study of their own (study=...), or put the file back and "
            "save the new images under another name."
        )


def record_data(study: Path, run: str, config: Mapping[str, Any]) -> None:
    """Keep what a file of one's own holds, now that there is a result on it.

    Args:
        study: the study's directory.
        run: stage and name of the run that has ended.
        config: its configuration.
    """
    data = config.get("data")
    if not isinstance(data, Mapping) or data.get("content") is None:
        return
    key = _key(data["path"])
    if key in _read(study):
        return
    with FileLock(study / f".{RECORD}.lock"):
        entry = {"content": data["content"], "run": run, "date": datetime.date.today().isoformat()}
        write_json(study / RECORD, {key: entry, **_read(study)})


def _key(path: object) -> str:
    return str(Path(str(path)).expanduser().absolute())


def _read(study: Path) -> dict[str, dict[str, str]]:
    file = study / RECORD
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {key: {name: entry[name] for name in ("content", "run", "date")} for key, entry in found.items()}
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise RunConflictError(f"{file} cannot be read ({error}). Move it away: it is written anew.") from error
