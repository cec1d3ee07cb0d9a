"""Runs of a study without a usable result: their state, what is known, and the command that runs them again."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from dbn.runs.directories import is_locked
from dbn.runs.naming import NOT_NAMED
from dbn.runs.process_record import read_process
from finetune.report.results.planned_runs import PlannedRun, command_like, missing_from_grid, read_plan
from finetune.report.results.run_result import STAGES, RunResult

State = Literal["missing", "running", "unfinished", "failed", "damaged"]
_DIRECTORY = re.compile(r"(?P<name>.+)_seed(?P<seed>\d+)")


@dataclass(frozen=True)
class Problem:
    """A run without a usable result.

    Attributes:
        state: why it has none.
        label: the run as shown to people.
        message: the reason, or what happens next.
        command: runs it again; None where it is not known.
        name: arm that lacks the run; empty where it is not known.
        stage: of the run; empty where it is none.
        seed: of the run; -1 where it is not known.
        directory: of the run, which need not exist; None where it is not known.
    """

    state: State
    label: str
    message: str
    command: str | None = None
    name: str = ""
    stage: str = ""
    seed: int = -1
    directory: Path | None = None


def group_by_seed(problems: Sequence[Problem]) -> list[Problem]:
    """Merge problems that differ in their seed only; the merged label lists the seeds."""
    groups: dict[tuple[State, str, str, str | None], list[Problem]] = {}
    for problem in problems:
        label = problem.label.rpartition(", seed ")[0] or problem.label
        groups.setdefault((problem.state, label, problem.message, problem.command), []).append(problem)
    return [
        members[0]
        if len(members) == 1
        else replace(members[0], label=f"{label}, seeds {', '.join(one.label.rpartition(' ')[2] for one in members)}")
        for (_, label, _, _), members in groups.items()
    ]


def is_run_directory(directory: Path) -> bool:
    """Whether a directory is named ``<name>_seed<k>``, as those of runs are."""
    return _DIRECTORY.fullmatch(directory.name) is not None and not directory.name.startswith(f"{NOT_NAMED}_")


def damaged_result(stage: str, directory: Path, error: Exception) -> Problem:
    """The problem of a run whose ``result.json`` cannot be used."""
    name, seed = _name_and_seed(directory)
    return Problem(
        "damaged",
        f"{stage}/{directory.name}",
        f"result.json cannot be used: {error}. Delete it and run again.",
        command_like(directory, stage),
        name,
        stage,
        seed,
        directory,
    )


def find_problems(
    study: Path, runs: Sequence[RunResult], damaged: Sequence[Problem], unfinished: Sequence[tuple[str, Path]]
) -> list[Problem]:
    """Problems of a study: damaged results, runs that were started and have none, and runs that were never started.

    Args:
        study: the study's directory.
        runs: runs that have a result.
        damaged: runs whose result cannot be used.
        unfinished: stage and directory of each run that was started and has no result.
    """
    problems = list(damaged)
    planned_runs, error = read_plan(study)
    if error:
        problems.append(Problem("damaged", "sweep.json", error))
    planned = {run.folder: run for run in planned_runs}
    problems += [_without_result(stage, directory, planned) for stage, directory in unfinished]
    present = {run.directory.name for run in runs} | {directory.name for _, directory in unfinished}
    present |= {Path(problem.label).name for problem in problems if problem.state == "damaged"}
    for run in planned_runs or _complete_grid(runs, unfinished):
        if run.folder not in present:
            label, where = f"{run.name}, seed {run.seed}", study / "finetune" / run.folder
            problems.append(
                Problem("missing", label, "never started", run.command, run.name, "finetune", run.seed, where)
            )
    return problems


def _name_and_seed(directory: Path) -> tuple[str, int]:
    match = _DIRECTORY.fullmatch(directory.name)
    return (match["name"], int(match["seed"])) if match else (directory.name, -1)


def _without_result(stage: str, directory: Path, planned: dict[str, PlannedRun]) -> Problem:
    """A run that was started: running while its directory is locked, failed if it left an error, else unfinished."""
    run = planned.get(directory.name) if stage != "pretrain" else None
    name, seed = (run.name, run.seed) if run else _name_and_seed(directory)
    command = run.command if run else command_like(directory, stage)
    label = f"{name}, seed {seed}" if stage != "pretrain" else f"pretraining {name}, seed {seed}"
    where = (name, stage, seed, directory)
    if is_locked(directory):
        return Problem("running", label, "a process is at work on it", None, *where)
    error = directory / "error.txt"
    if not error.is_file() or _is_of_an_attempt_before(error, directory):
        return Problem(
            "unfinished", label, "stopped before its end; it resumes from its last checkpoint", command, *where
        )
    lines = [line.strip() for line in error.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return Problem("failed", label, lines[-1] if lines else "failed without a message", command, *where)


def _is_of_an_attempt_before(error: Path, directory: Path) -> bool:
    """Whether a process has begun after the error was written: it was killed, and left none of its own."""
    process = read_process(directory)
    return process is not None and process.started > error.stat().st_mtime


def _complete_grid(runs: Sequence[RunResult], unfinished: Sequence[tuple[str, Path]]) -> list[PlannedRun]:
    """Without a plan: the runs that would complete the grid of names and seeds of each stage."""
    missing: list[PlannedRun] = []
    for stage in STAGES[1:]:
        seen = {(run.name, run.seed): run.directory for run in runs if run.stage == stage}
        seen |= {_name_and_seed(directory): directory for other, directory in unfinished if other == stage}
        missing += missing_from_grid(seen, stage)
    return missing
