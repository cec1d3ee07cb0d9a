"""SLURM jobs of a study: those that are recorded where it was submitted, and those of its runs' processes."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = "slurm"
"""Folder of a study that holds what SLURM's jobs print, and a file for each submission."""
SUBMITTED = "submitted_*.json"
_JOB_FOLDER = re.compile(r"\d+(_\d+)?")


@dataclass(frozen=True)
class Submissions:
    """What is known of a study's jobs.

    Attributes:
        jobs: ids of all jobs, elements of arrays as ``7_3``, those of reports among them.
        job_of: id of the job that a run waits for or is part of, by the name of the run's directory.
        git: state of the code when the study was last submitted; None where it is not known.
        code: hash of that code; empty where it is not known.
        frozen: the study keeps that code, and the jobs run it.
    """

    jobs: frozenset[str] = frozenset()
    job_of: Mapping[str, str] = field(default_factory=dict)
    git: Mapping[str, Any] | None = None
    code: str = ""
    frozen: bool = False


def read_submissions(study: Path) -> Submissions:
    """Read the submissions of a study: folders named by jobs, and ``submitted_<job>.json``, the latest last."""
    folder = study / FOLDER
    jobs = {path.name for path in _entries(folder) if _JOB_FOLDER.fullmatch(path.name)}
    job_of: dict[str, str] = {}
    git: Mapping[str, Any] | None = None
    code, frozen = "", False
    for content in sorted(_contents(folder), key=lambda content: float(content["submitted"])):
        for first, runs in content["jobs"].items():
            chain = [first]
            while (behind := _behind(folder, chain[-1])) is not None and behind not in chain:
                chain.append(behind)
            jobs.update(chain)
            job_of.update(dict.fromkeys(runs, chain[-1]))
        if isinstance(content.get("report"), str):
            jobs.add(content["report"])
        git, code, frozen = content.get("git"), str(content.get("code") or ""), content.get("frozen") is True
    return Submissions(frozenset(jobs), job_of, git, code, frozen)


def _behind(folder: Path, job: str) -> str | None:
    """Job that goes on with another one's runs: submitted behind it where it could not go back into the queue."""
    try:
        return (folder / f"behind_{job}").read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _contents(folder: Path) -> Iterator[dict[str, Any]]:
    """Contents of the submissions' files that can be used."""
    for path in folder.glob(SUBMITTED):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            usable = isinstance(content["jobs"], dict) and isinstance(content["submitted"], int | float)
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if usable:
            yield content
