"""How far every run of a study is: results, what runs at work have written, and SLURM's queue."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from dbn.fitting.metrics_tail import METRICS, MetricsTail, read_metrics_tail
from dbn.runs.code import current_code
from dbn.runs.process_record import ProcessRecord, read_process
from dbn.runs.slurm_queue import Queue, queue_of
from finetune.report.results.code_used import Code, code_of
from finetune.report.results.planned_runs import PlannedRun, read_plan
from finetune.report.results.problems import Problem
from finetune.report.results.run_result import RunResult
from finetune.report.results.study import scan_study
from finetune.report.results.submissions import Submissions, read_submissions
from finetune.report.results.time_left import Durations, seconds_left

State = Literal["done", "running", "pending", "failed", "damaged", "unfinished", "missing"]
STATES: tuple[State, ...] = ("running", "failed", "damaged", "unfinished", "pending", "missing", "done")
"""In the order in which people want to see them."""
_WATCHED = ("error", "balanced_error", "rmse", "squared_error", "nll", "reconstruction_error", "loss")
"""Quantities by which a run is followed, the first that it has."""
_TAIL = 4096
"""Bytes of a log in which its last line is looked for."""


@dataclass(frozen=True)
class RunState:
    """How far one run is. What is not known is None or empty.

    Attributes:
        label: the run as shown to people.
        metric: what it is followed by: of validation where there is one, never of test images.
        value: the last value of it.
        seconds: that a run which is done took, its pretraining not counted.
        seconds_left: until a running run is done, by what runs like it took, or else by its own pace.
        message: why it has no result, the last line of its error or log.
        log: file to read on in.
        job: its SLURM job, ``7_3`` for an element of an array.
        reason: why a pending job waits, in SLURM's word.
        command: does what is not done.
        git: state of the code that made it, or is at work on it.
        code: hash of that code.
        code_before: hashes of other code that made it up to an interruption.
    """

    stage: str
    name: str
    seed: int
    state: State
    label: str
    directory: Path | None = None
    arm: str = ""
    epoch: int | None = None
    epochs: int | None = None
    metric: str = ""
    value: float | None = None
    seconds: float | None = None
    seconds_left: float | None = None
    message: str = ""
    log: Path | None = None
    job: str | None = None
    host: str | None = None
    reason: str = ""
    command: str | None = None
    git: Mapping[str, Any] | None = None
    code: str = ""
    code_before: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyState:
    """How far a study is.

    Attributes:
        runs: every run, those that need attention first.
        seconds_done: what the runs that are done took, pretraining included.
        seconds_left: of fine-tuning that is not done, in one process; None where nothing is to do or no run is done.
        queue: what SLURM says of the study's jobs.
        checkout: state of the source code here; None for an installed package.
        submitted: state of the code when the study was last submitted; None where it is not known.
        checkout_code, submitted_code: hash of the code here, and of the code submitted.
        frozen: the study keeps the code submitted, and its jobs run that.
    """

    name: str
    directory: Path
    runs: tuple[RunState, ...]
    seconds_done: float = 0.0
    seconds_left: float | None = None
    queue: Queue = field(default_factory=Queue)
    checkout: Mapping[str, Any] | None = None
    submitted: Mapping[str, Any] | None = None
    checkout_code: str = ""
    submitted_code: str = ""
    frozen: bool = False

    def of_state(self, state: State) -> list[RunState]:
        """Fine-tuned runs and baselines in a state, and files that are damaged."""
        return [run for run in self.runs if run.state == state and run.stage != "pretrain"]

    @property
    def counts(self) -> dict[State, int]:
        """Number of fine-tuned runs and baselines in each state."""
        return {state: len(self.of_state(state)) for state in STATES}

    @property
    def is_over(self) -> bool:
        """Whether nothing is at work on the study, and no job of it waits."""
        waiting = any(job.waits or job.state == "RUNNING" for job in self.queue.jobs.values())
        return not waiting and not any(run.state in ("running", "pending") for run in self.runs)

    def codes(self) -> dict[Code, int]:
        """Number of runs by code, where that is known."""
        return dict(Counter(code for run in self.runs if (code := code_of(run.git, run.code)) is not None))


Known = dict[Path, tuple[int, RunResult]]
"""Results read before, with the time their file was written."""


def read_study_state(directory: Path, known: Known | None = None) -> StudyState:
    """Look at a study; writes nothing, and works while other machines work on it.

    Args:
        directory: of the study.
        known: results read before, which are not read again; completed.

    Raises:
        DataError: there is no such study.
    """
    study = scan_study(directory, known)
    submissions = read_submissions(directory)
    plan = {run.folder: run for run in read_plan(directory)[0]}
    records = {
        problem.directory: read_process(problem.directory)
        for problem in study.problems
        if problem.directory is not None and problem.state != "missing"
    }
    jobs = {record.job for record in records.values() if record is not None and record.job is not None}
    queue = queue_of(submissions.jobs | jobs)
    durations = Durations(study.of_stage("finetune"))
    look = _Look(plan, submissions, queue, durations, records, _layer_epochs(study.runs))
    runs = [_done(run) for run in study.runs] + [look.at(problem) for problem in study.problems]
    shares = {
        run.directory.name: run.epoch / run.epochs
        for run in runs
        if run.state != "done" and run.stage == "finetune" and run.directory and run.epoch and run.epochs
    }
    here = current_code()
    return StudyState(
        name=study.name,
        directory=directory,
        runs=tuple(sorted(runs, key=lambda run: (STATES.index(run.state), run.label))),
        seconds_done=sum(run.seconds or 0.0 for run in study.runs),
        seconds_left=seconds_left(list(plan.values()), study.of_stage("finetune"), shares),
        queue=queue,
        checkout=here.git,
        submitted=submissions.git,
        checkout_code=here.name,
        submitted_code=submissions.code,
        frozen=submissions.frozen,
    )


def _layer_epochs(runs: Iterable[RunResult]) -> dict[str, int]:
    """Epochs of all layers of a stack, by the stack's name, where one of another seed is done."""
    return {run.name: sum(run.layer_epochs) for run in runs if run.layer_epochs}


def _done(run: RunResult) -> RunState:
    metric, value = watched(run.metrics)
    label = f"{run.name}, seed {run.seed}"
    return RunState(
        run.stage, run.name, run.seed, "done", f"pretraining {label}" if run.stage == "pretrain" else label,
        run.directory, run.arm, run.epochs, run.epochs, metric, value, run.seconds, git=run.git or None,
        code=run.code, code_before=run.code_before,
    )  # fmt: skip


def watched(metrics: Mapping[str, float]) -> tuple[str, float | None]:
    """The metric that a run is followed by, and its value; not one of test images, which choose nothing."""
    for split in ("validation", "layer", "train"):
        for quantity in _WATCHED:
            found = [
                name for name in metrics if name.startswith(split) and name.partition("/")[2] == quantity
            ]  # of layers the last
            if found:
                return found[-1], metrics[found[-1]]
    return "", None


@dataclass(frozen=True)
class _Look:
    """What is known of a study beside its results."""

    plan: Mapping[str, PlannedRun]
    submissions: Submissions
    queue: Queue
    durations: Durations
    records: Mapping[Path, ProcessRecord | None]
    layer_epochs: Mapping[str, int]

    def at(self, problem: Problem) -> RunState:
        """How far a run without a result is."""
        directory = problem.directory
        row = RunState(
            problem.stage, problem.name, problem.seed, problem.state, problem.label, directory,
            message=problem.message, command=problem.command,
        )  # fmt: skip
        if directory is None:
            return row
        planned = self.plan.get(directory.name) if problem.stage == "finetune" else None
        record = self.records.get(directory)
        if problem.state != "missing":
            tail = read_metrics_tail(directory / METRICS)
            metric, value = watched(tail.last)
            epochs = planned.epochs if planned is not None else self.layer_epochs.get(problem.name)
            row = replace(row, epoch=tail.epochs, epochs=epochs, metric=metric, value=value)
        if planned is not None:
            row = replace(row, arm=planned.arm)
        if record is not None:
            log = None if record.log is None else Path(record.log)
            row = replace(row, job=record.job, host=record.host, log=log, git=record.git)
            row = replace(row, code=record.code, code_before=record.code_before)
        return self._with_queue(row, record, directory)

    def _with_queue(self, row: RunState, record: ProcessRecord | None, directory: Path) -> RunState:
        job = self.submissions.job_of.get(directory.name, row.job) if row.stage != "pretrain" else row.job
        queued = None if job is None else self.queue.jobs.get(job)
        if row.state == "running":
            return replace(row, seconds_left=self._seconds_left(row, record, directory), command=None)
        if queued is not None and row.state != "damaged":
            if queued.waits:
                return replace(
                    row, state="pending", job=job, reason=queued.reason or queued.state, command=None,
                    message=f"job {job} waits in the queue",
                )  # fmt: skip
            at_work = record is not None and record.job == job and row.state == "unfinished"
            if at_work:  # on another node, whose locks this machine does not see
                return replace(
                    row, state="running", message=f"job {job} is at work on it", command=None,
                    seconds_left=self._seconds_left(row, record, directory),
                )  # fmt: skip
            if row.state in ("missing", "unfinished"):
                return replace(
                    row, state="pending", job=job, reason="JobAtWork", command=None,
                    message=f"job {job} is at work, and comes to it",
                )  # fmt: skip
        if row.state == "failed":
            return replace(row, log=row.log or directory / "error.txt")
        if row.state == "unfinished" and row.log is not None:
            line = last_line(row.log)
            return replace(row, message=f"{row.message}; its log ends: {line}" if line else row.message)
        return row

    def _seconds_left(self, row: RunState, record: ProcessRecord | None, directory: Path) -> float | None:
        """By runs of its arm that are done; else by its own pace, its pretraining included."""
        if row.epochs is None or row.epoch is None:
            return None
        planned = self.plan.get(directory.name)
        expected = self.durations.seconds_of(planned) if planned is not None and row.stage == "finetune" else None
        rest = max(row.epochs - row.epoch, 0)
        if expected is not None:
            return expected * rest / max(row.epochs, 1)
        tail: MetricsTail = read_metrics_tail(directory / METRICS)
        if record is None or tail.written is None or row.epoch <= record.epochs:
            return None
        pace = (tail.written - record.started) / (row.epoch - record.epochs)
        return max(pace, 0.0) * rest


def last_line(log: Path) -> str:
    """The last line of a log that says something; empty where it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
