"""``looks.json`` of a study that grows until it is settled: its planned largest number of seeds, and every look."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dbn.errors import DataError, SettingError
from dbn.files import write_json

FILE = "looks.json"


@dataclass(frozen=True)
class Look:
    """One look at a section: the number of seeds, the p value seen, and the level that it was compared with."""

    seeds: int
    p_value: float | None
    level: float


@dataclass(frozen=True)
class Looks:
    """The plan of a growing study and the looks at each of its sections, by title."""

    max_seeds: int
    sections: Mapping[str, tuple[Look, ...]]


def read_looks(study: Path) -> Looks | None:
    """The looks at a study; None for a study whose number of seeds was fixed.

    Raises:
        DataError: the file is damaged.
    """
    file = study / FILE
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        sections = {
            str(title): tuple(Look(int(one["seeds"]), one["p_value"], float(one["level"])) for one in looks)
            for title, looks in content["sections"].items()
        }
        return Looks(int(content["max_seeds"]), sections)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{file} cannot be used ({error}). It says how often the study was looked at: restore it; without it no "
            "claim from a study that grew is valid."
        ) from error


def plan_looks(study: Path, max_seeds: int | None) -> Looks | None:
    """The looks so far, or a new plan where ``max_seeds`` is given for the first time.

    Raises:
        SettingError: ``max_seeds`` is another number than was planned.
        DataError: the file is damaged.
    """
    looks = read_looks(study)
    if looks is None:
        return None if max_seeds is None else Looks(max_seeds, {})
    if max_seeds is not None and max_seeds != looks.max_seeds:
        raise SettingError(
            f"max_seeds={max_seeds}: {study / FILE} was planned with {looks.max_seeds}. A plan that changes after a "
            "look is none; leave max_seeds out."
        )
    return looks


def write_looks(study: Path, looks: Looks) -> None:
    """Write ``looks.json``."""
    write_json(
        study / FILE,
        {
            "max_seeds": looks.max_seeds,
            "sections": {
                title: [{"seeds": one.seeds, "p_value": one.p_value, "level": one.level} for one in own]
                for title, own in looks.sections.items()
            },
        },
    )
