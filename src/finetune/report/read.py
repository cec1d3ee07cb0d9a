"""A study's directory -> runs that have a result, and problems: runs that have none, with what to do about them."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from dbn.errors import DataError
from dbn.naming import NOT_NAMED
from dbn.runs import at_work
from finetune.report.plan import Job, command_like, grid_holes, read_plan

STAGES = ("pretrain", "finetune", "baseline")
Kind = Literal["pretrained", "random", "baseline", "unstated"]
State = Literal["missing", "running", "unfinished", "failed", "damaged"]
_DIRECTORY = re.compile(r"(?P<name>.+)_seed(?P<seed>\d+)")


@dataclass(frozen=True)
class Run:
    """One ``result.json``. What a file does not say is None, or empty.

    Attributes:
        content: hash of a person's own data; empty for data that everybody knows.
        labels: ``"100"``, or ``"all"``, or empty where the file does not say.
        kind: where the starting weights came from; decides the colour.
        metrics: finite values only.
        weights: how far fine-tuning moved those of each layer, see :func:`finetune.weights.weight_changes`.
        sizes: numbers of units, input and output included.
        flops: floating-point operations by stage, see :mod:`dbn.flops`.
        trial: number of the trial of a random search; None for a run that is none.
        settings: what the trial drew, by dotted key.
        precision: of the matrix products of each layer, see :mod:`dbn.precision`.
        path: directory relative to the study, with forward slashes.
    """

    study: str
    stage: str
    name: str
    seed: int
    metrics: dict[str, float]
    directory: Path
    path: str
    kind: Kind = "unstated"
    arm: str = ""
    task: str = ""
    data: str = ""
    content: str = ""
    labels: str = ""
    seconds: float | None = None
    pretrain_seconds: float | None = None
    n_parameters: int | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    weights: tuple[dict[str, Any], ...] = ()
    sizes: tuple[int, ...] = ()
    flops: dict[str, float] = field(default_factory=dict)
    trial: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    trained_together: int | None = None
    precision: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)
    git: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()

    @property
    def hidden(self) -> tuple[int, ...]:
        """Numbers of hidden units, layer by layer; empty where the file does not say."""
        return self.sizes[1:-1]

    @property
    def total_flops(self) -> float | None:
        """Floating-point operations of the run, pretraining included; None where the file does not say."""
        return sum(self.flops.values()) or None


@dataclass(frozen=True)
class Problem:
    """A run without a usable result: what is known about it, and the command that runs it again where known.

    ``name`` is the arm that misses the run, empty where that is not known.
    """

    state: State
    label: str
    message: str
    command: str | None = None
    name: str = ""


def grouped(problems: Sequence[Problem]) -> list[Problem]:
    """Problems for people: seeds of one job that have the same problem are one."""
    groups: dict[tuple[State, str, str, str | None], list[Problem]] = {}
    for problem in problems:
        what = problem.label.rpartition(", seed ")[0] or problem.label
        groups.setdefault((problem.state, what, problem.message, problem.command), []).append(problem)
    return [
        members[0]
        if len(members) == 1
        else replace(members[0], label=f"{what}, seeds {', '.join(one.label.rpartition(' ')[2] for one in members)}")
        for (_, what, _, _), members in groups.items()
    ]


@dataclass(frozen=True)
class Study:
    """All runs of one study, sorted by stage, name and seed."""

    name: str
    directory: Path
    runs: tuple[Run, ...]
    problems: tuple[Problem, ...]

    def of_stage(self, *stages: str) -> list[Run]:
        """The runs of some stages."""
        return [run for run in self.runs if run.stage in stages]

    @property
    def compared(self) -> list[Run]:
        """Fine-tuned runs and baselines. Trials of a random search are not compared: :mod:`tuning` chooses of them."""
        return [run for run in self.of_stage("finetune", "baseline") if run.trial is None]

    @property
    def trials(self) -> list[Run]:
        """Trials of a random search."""
        return [run for run in self.runs if run.trial is not None]


def read_study(directory: Path) -> Study:
    """Read every ``<stage>/<name>_seed<k>/result.json`` below ``directory``.

    Raises:
        DataError: the directory is missing or holds no result; the message says what to run.
    """
    study = scan_study(directory)
    if not study.runs:
        raise DataError(_nothing_to_report(directory, study.name, list(study.problems)))
    return study


def scan_study(directory: Path) -> Study:
    """As :func:`read_study`, for a study that may have no result yet.

    Raises:
        DataError: the directory is missing.
    """
    name = directory.resolve().name
    if not directory.is_dir():
        raise DataError(
            f"{directory}: there is no such study. Run one first, for example dbn-finetune study={name}, "
            "or give the directory of another."
        )
    runs: list[Run] = []
    problems: list[Problem] = []
    unfinished: list[tuple[str, Path]] = []
    for stage in STAGES:
        for run_directory in sorted(path for path in (directory / stage).glob("*") if path.is_dir()):
            if (run_directory / "result.json").is_file():
                try:
                    runs.append(_read_run(run_directory, stage, directory))
                except (OSError, ValueError) as error:
                    problems.append(
                        Problem(
                            "damaged",
                            f"{stage}/{run_directory.name}",
                            f"result.json cannot be used: {error}. Delete it and run again.",
                            command_like(run_directory, stage),
                            _name_and_seed(run_directory)[0],
                        )
                    )
            elif _DIRECTORY.fullmatch(run_directory.name) and not run_directory.name.startswith(f"{NOT_NAMED}_"):
                unfinished.append((stage, run_directory))
    runs.sort(key=lambda run: (STAGES.index(run.stage), run.name, run.seed, run.path))

    jobs, complaint = read_plan(directory)
    if complaint:
        problems.append(Problem("damaged", "sweep.json", complaint))
    planned = {job.folder: job for job in jobs}
    for stage, run_directory in unfinished:
        problems.append(_without_result(stage, run_directory, planned))
    present = {run.directory.name for run in runs} | {path.name for _, path in unfinished}
    present |= {Path(problem.label).name for problem in problems if problem.state == "damaged"}
    for job in jobs or _holes(runs, unfinished):
        if job.folder not in present:
            problems.append(Problem("missing", f"{job.name}, seed {job.seed}", "never started", job.command, job.name))
    return Study(name, directory, tuple(runs), tuple(problems))


def _read_run(directory: Path, stage: str, study: Path) -> Run:
    """One run; raises ValueError (of which JSONDecodeError is one) where the file is not a result."""
    content = json.loads((directory / "result.json").read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("it is not a JSON object")
    name, seed, metrics = content.get("name"), content.get("seed"), content.get("metrics")
    if not isinstance(name, str) or not name:
        raise ValueError("'name' is not given")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ValueError("'seed' is not a whole number")
    if not isinstance(metrics, dict):
        raise ValueError("'metrics' is not given")
    stage = content["stage"] if content.get("stage") in STAGES else stage
    finite = {key: value for key in metrics if (value := _number(metrics[key])) is not None}
    return Run(
        study=_text(content.get("study")) or study.resolve().name,
        stage=stage,
        name=name,
        seed=seed,
        metrics=finite,
        directory=directory,
        path=directory.relative_to(study).as_posix(),
        kind=_kind(stage, content.get("pretrained")),
        arm=_text(content.get("arm")) or name,
        task=_text(content.get("task")) or _task_from(finite),
        data=_text(content.get("data")),
        content=_text(_mapping(_mapping(content.get("config")).get("data")).get("content")),
        labels=_labels(content),
        seconds=_number(content.get("seconds")),
        pretrain_seconds=_number(content.get("pretrain_seconds")),
        n_parameters=_whole(content.get("n_parameters")),
        epochs=_whole(content.get("epochs")),
        best_epoch=_whole(content.get("best_epoch")),
        weights=tuple(row for row in content.get("weights") or () if isinstance(row, dict)),
        sizes=_wholes(content.get("sizes")),
        flops={key: number for key, value in _mapping(content.get("flops")).items() if (number := _number(value))},
        trial=_whole(_mapping(content.get("trial")).get("number")),
        settings=_mapping(_mapping(content.get("trial")).get("settings")),
        trained_together=_whole(content.get("trained_together")),
        precision=_texts(content.get("precision")),
        config=_mapping(content.get("config")),
        versions=_mapping(content.get("versions")),
        git=_mapping(content.get("git")),
        machine=_mapping(content.get("machine")),
        classes=_texts(content.get("classes")),
    )


def _kind(stage: str, pretrained: object) -> Kind:
    if stage == "baseline":
        return "baseline"
    if isinstance(pretrained, bool):
        return "pretrained" if pretrained else "random"
    return "unstated"


def _task_from(metrics: dict[str, float]) -> str:
    if any(key.endswith("/error") for key in metrics):
        return "classifier"
    return "autoencoder" if any(key.endswith("/squared_error") for key in metrics) else ""


def _labels(content: dict[str, Any]) -> str:
    if "n_labelled" not in content:
        return ""
    n_labelled = _whole(content["n_labelled"])
    return "all" if n_labelled is None else str(n_labelled)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _wholes(value: object) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, list) and all(_whole(one) is not None for one in value) else ()


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _name_and_seed(directory: Path) -> tuple[str, int]:
    match = _DIRECTORY.fullmatch(directory.name)
    return (match["name"], int(match["seed"])) if match else (directory.name, -1)


def _without_result(stage: str, directory: Path, planned: dict[str, Job]) -> Problem:
    """A run that was started and has no result: running while its directory is locked, failed if it left an error."""
    job = planned.get(directory.name) if stage != "pretrain" else None
    name, seed = (job.name, job.seed) if job else _name_and_seed(directory)
    command = job.command if job else command_like(directory, stage)
    label = f"{name}, seed {seed}" if stage != "pretrain" else f"pretraining {name}, seed {seed}"
    if at_work(directory):
        return Problem("running", label, "a process is at work on it", None, name)
    error = directory / "error.txt"
    if not error.is_file():
        return Problem(
            "unfinished", label, "stopped before its end; it goes on from its last checkpoint", command, name
        )
    lines = [line.strip() for line in error.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return Problem("failed", label, lines[-1] if lines else "failed without a message", command, name)


def _holes(runs: list[Run], unfinished: list[tuple[str, Path]]) -> list[Job]:
    """Without a plan: what would make the grid of names and seeds complete, stage by stage."""
    holes: list[Job] = []
    for stage in STAGES[1:]:
        seen = {(run.name, run.seed): run.directory for run in runs if run.stage == stage}
        seen |= {_name_and_seed(path): path for at, path in unfinished if at == stage}
        holes += grid_holes(seen, stage)
    return holes


def _nothing_to_report(directory: Path, name: str, problems: list[Problem]) -> str:
    message = f"{directory}: no run has a result yet"
    if not problems:
        return f"{message}. Run the study first, for example dbn-finetune study={name}."
    first = problems[0]
    states = [problem.state for problem in problems]
    counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    again = f" Run it again: {first.command}" if first.command else ""
    return f"{message} ({counts}). The first, {first.label}: {first.message}.{again}"
