"""Record of the content of the user's files at the first result of a study: ``data.json`` in the study's folder.

Otherwise, if a file were overwritten during a study, its report would mix two data sets under one name.
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
    """Refuse a file of the user that has changed since the study's first result on it.

    Args:
        study: the study's directory.
        config: of a run to execute, with ``data.content``.

    Raises:
        RunConflictError: the file has changed, or the record cannot be read.
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
    """Record the content of the user's file, if the study has no result on it yet.

    Args:
        study: the study's directory.
        run: stage and name of the completed run.
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
