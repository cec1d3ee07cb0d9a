"""The runs that a study should have: its ``sweep.json``, or the grid of the names and seeds that are there."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dbn.naming import folder_name


@dataclass(frozen=True)
class Job:
    """One planned run."""

    name: str
    seed: int
    command: str | None

    @property
    def folder(self) -> str:
        """Name of its directory."""
        return f"{folder_name(self.name)}_seed{self.seed}"


def read_plan(study: Path) -> tuple[list[Job], str | None]:
    """Jobs of ``sweep.json`` (none where there is no such file), and a complaint where it cannot be read."""
    path = study / "sweep.json"
    if not path.is_file():
        return [], None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [_job(entry) for entry in content["jobs"]], None
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [], f"cannot be used ({type(error).__name__}: {error}): missing runs are guessed from those present"


def _job(entry: dict[str, Any]) -> Job:
    command = entry.get("command")
    return Job(str(entry["name"]), int(entry["seed"]), command if isinstance(command, str) else None)


def grid_holes(seen: Mapping[tuple[str, int], Path], stage: str) -> list[Job]:
    """Pairs of a name and a seed that were seen, but not together.

    Args:
        seen: directory of each ``(name, seed)`` of one stage.
        stage: that stage.
    """
    names = sorted({name for name, _ in seen})
    seeds = sorted({seed for _, seed in seen})
    holes = []
    for name in names:
        relative = next(path for (other, _), path in sorted(seen.items()) if other == name)
        holes += [Job(name, seed, command_like(relative, stage, seed)) for seed in seeds if (name, seed) not in seen]
    return holes


def command_like(directory: Path, stage: str, seed: int | None = None) -> str | None:
    """The command of a run, from the overrides that Hydra wrote down in it; with another ``seed`` if given.

    None where Hydra wrote nothing down: a guessed command might start another run than the one meant.
    """
    try:
        overrides = yaml.safe_load((directory / ".hydra" / "overrides.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None
    if not isinstance(overrides, list):
        return None
    words = [str(override) for override in overrides]
    if seed is not None:
        words = [word for word in words if not re.match(r"\+*seed=", word)] + [f"seed={seed}"]
    return shlex.join(["dbn-pretrain" if stage == "pretrain" else "dbn-finetune", *words])
