"""Which files of a study must be the same, however often it was interrupted, and what of each."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from dbn.runs.run import differences_of
from finetune.runs.optuna_study import JOURNAL, storage_of

TIMES = ("seconds", "other_load", "created", "submitted", "time")
"""Ends of the names of what says how long something took or when it was: it may differ."""
LEFT_OUT = {
    ".lock": "an empty file",
    "process.json": "which process was at work when",
    "report.html": "has times; its numbers are those of results.csv",
    "table.md": "likewise",
    "multirun.yaml": "Hydra's; names the folder that the command was called in",
    "error.txt": "of a run that a worker's death interrupted; with a result it is gone",
}
"""Files that are not compared, and why."""
FOLDERS_LEFT_OUT = ("local", "slurm", "code", "wandb", "checkpoints")
"""Logs, batch files, the kept code and what is only there to go on from."""


def differences(one: Path, other: Path) -> list[str]:
    """Files of two folders of studies that are not the same, by their paths; of JSON files what differs in them."""
    names = {path.relative_to(folder) for folder in (one, other) for path in folder.rglob("*") if is_compared(path)}
    found = []
    for name in sorted(names):
        if not all((folder / name).is_file() for folder in (one, other)):
            found.append(f"{name} (in one only)")
        elif (first := content(one / name)) != (second := content(other / name)):
            keys = [f"{key}: {old}, {new}" for key, old, new in differences_of(first, second)]
            found.append(f"{name} ({'; '.join(keys)})" if name.suffix == ".json" else str(name))
    return found


def is_compared(path: Path) -> bool:
    """Whether a file must be the same."""
    if not path.is_file() or path.name in LEFT_OUT or (path.suffix == ".log" and path.name != JOURNAL):
        return False
    return not set(FOLDERS_LEFT_OUT) & set(path.parts)


def content(path: Path) -> Any:
    """What of a file must be the same."""
    if path.name == JOURNAL:
        return trials(path)
    if path.suffix == ".json":
        return without_times(json.loads(path.read_text(encoding="utf-8")))
    if path.name == "results.csv":
        return [without_times(row) for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))]
    return path.read_bytes()


def without_times(found: Any) -> Any:
    """JSON content without what says how long something took or when it was."""
    if isinstance(found, dict):
        return {key: without_times(value) for key, value in found.items() if not key.endswith(TIMES)}
    return [without_times(value) for value in found] if isinstance(found, list) else found


def trials(journal: Path) -> Any:
    """What Optuna knows of the trials of every study in a journal, but for its times."""
    storage = storage_of(journal)
    return {
        study.study_name: [
            (one.number, one.state.name, one.params, one.values, one.intermediate_values, one.user_attrs)
            for one in storage.get_all_trials(study._study_id)
        ]
        for study in storage.get_all_studies()
    }
