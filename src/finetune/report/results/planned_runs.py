"""The runs that a study should have: those of its ``sweep.json``, or the grid of the names and seeds present."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dbn.runs.naming import folder_name


@dataclass(frozen=True)
class PlannedRun:
    """A run that the study should have.

    Attributes:
        command: starts it; None where that is not known.
        arm: its arm; empty where that is not known.
        epochs: epochs of its configuration; None where they are not known.
        labels: number of labels as text, or ``all``; empty where it is not known.
    """

    name: str
    seed: int
    command: str | None
    arm: str = ""
    epochs: int | None = None
    labels: str = ""

    @property
    def folder(self) -> str:
        """Name of the run's directory."""
        return f"{folder_name(self.name)}_seed{self.seed}"


def read_plan(study: Path) -> tuple[list[PlannedRun], str | None]:
    """Runs listed in ``sweep.json``, none without such a file, and an error message where the file cannot be used."""
    path = study / "sweep.json"
    if not path.is_file():
        return [], None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [_job(entry) for entry in content["jobs"]], None
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [], f"cannot be used ({type(error).__name__}: {error}): missing runs are guessed from those present"


def _job(entry: dict[str, Any]) -> PlannedRun:
    command = entry.get("command")
    epochs = entry.get("epochs")
    return PlannedRun(
        str(entry["name"]),
        int(entry["seed"]),
        command if isinstance(command, str) else None,
        str(entry.get("arm", "")),
        epochs if isinstance(epochs, int) else None,
        str(entry.get("labels", "")),
    )


def missing_from_grid(seen: Mapping[tuple[str, int], Path], stage: str) -> list[PlannedRun]:
    """Combinations of a present name and a present seed that are missing.

    Args:
        seen: directory of each ``(name, seed)`` present.
        stage: stage that these runs belong to.
    """
    names = sorted({name for name, _ in seen})
    seeds = sorted({seed for _, seed in seen})
    missing: list[PlannedRun] = []
    for name in names:
        sibling = next(path for (other, _), path in sorted(seen.items()) if other == name)
        missing += [
            PlannedRun(name, seed, command_like(sibling, stage, seed)) for seed in seeds if (name, seed) not in seen
        ]
    return missing


def command_like(directory: Path, stage: str, seed: int | None = None) -> str | None:
    """Command that repeats a run, from the overrides that Hydra recorded; with another ``seed`` if given.

    None without recorded overrides: a guessed command might start a different run.
    """
    try:
        overrides = yaml.safe_load((directory / ".hydra" / "overrides.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None
    if not isinstance(overrides, list):
        return None
    arguments = [str(override) for override in overrides]
    if seed is not None:
        arguments = [one for one in arguments if not re.match(r"\+*seed=", one)] + [f"seed={seed}"]
    return shlex.join(["dbn-pretrain" if stage == "pretrain" else "dbn-finetune", *arguments])
