"""How far a study is, as plain text for the terminal."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from finetune.report.pages.status_code import code_text
from finetune.report.results.formatting import choose_format, count_text, join_words, metric_label, seconds_text
from finetune.report.results.study_state import STATES, RunState, StudyState, read_study_state


def status_text(directory: Path) -> str:
    """The state of a study's runs in plain text, and the commands that run the rest.

    Raises:
        DataError: there is no such study.
    """
    state = read_study_state(directory)
    lines = [summary(state), *facts(state)]
    for one in STATES:
        if one == "pending":
            lines += pending_lines(state)
        elif one != "done":
            lines += [f"{one:<10}  {run.label}: {message(run)}" for run in state.runs if run.state == one]
    commands = dict.fromkeys(run.command for run in state.runs if run.command is not None)
    if commands:
        lines += ["", "To do the rest:", *(f"  {command}" for command in commands)]
    return "\n".join(lines)


def summary(state: StudyState) -> str:
    """``compare: 20 of 27 runs done, 3 running, 1 failed, 3 missing; 3 stacks pretrained``."""
    counts = state.counts
    parts = [f"{counts['done']} of {sum(counts.values())} runs done"]
    parts += [f"{counts[one]} {one}" for one in STATES if one != "done" and counts[one]]
    stacks = sum(run.stage == "pretrain" and run.state == "done" for run in state.runs)
    pretrained = f"; {count_text(stacks, 'stack')} pretrained" if stacks else ""
    return f"{state.name}: {', '.join(parts)}{pretrained}"


def facts(state: StudyState) -> list[str]:
    """What is known of the study as a whole: what is left, which code made it, what SLURM says."""
    return [line for line in (left_text(state), code_text(state), slurm_text(state)) if line]


def left_text(state: StudyState) -> str:
    """What the study will still cost; empty where that is not known."""
    if state.seconds_left is None:
        return ""
    at_work = len(state.of_state("running"))
    together = f", or {seconds_text(state.seconds_left / at_work)} with the {at_work} at work" if at_work > 1 else ""
    left = seconds_text(state.seconds_left)
    return f"Left: about {left} of fine-tuning in one process, by what the runs done took{together}."


def slurm_text(state: StudyState) -> str:
    """What SLURM says of the study's jobs; empty where none is in the queue."""
    if state.queue.unknown:
        return f"SLURM's queue is not known: {state.queue.unknown}."
    reasons = state.queue.reasons()
    running = sum(not job.waits for job in state.queue.jobs.values())
    parts = [f"{count_text(running, 'job')} running"] if running else []
    if reasons:
        why = ", ".join(f"{reason} {n}" for reason, n in reasons.items())
        parts.append(f"{count_text(sum(reasons.values()), 'job')} pending ({why})")
    return f"SLURM: {join_words(parts)}." if parts else ""


def message(run: RunState) -> str:
    """What there is to say of a run that is not done, in one line."""
    if run.state == "running" and run.epoch:
        where = [f"job {run.job}"] if run.job else []
        where += [f"on {run.host}"] if run.host else []
        parts = [epoch_text(run), metric_text(run), left_of(run), " ".join(where)]
        return ", ".join(part for part in parts if part)
    if run.state == "failed" and run.log is not None:
        return f"{run.message}; see {run.log}"
    return run.message


def epoch_text(run: RunState) -> str:
    """``epoch 12 of 100``; empty before the first one."""
    of = f" of {run.epochs}" if run.epochs else ""
    return f"epoch {run.epoch}{of}" if run.epoch else ""


def metric_text(run: RunState) -> str:
    """``validation error 3.21 %``; empty where there is none yet."""
    if run.value is None:
        return ""
    own = choose_format(run.metric, [run.value])
    return f"{metric_label(run.metric)} {own.number(run.value)}{own.unit}".replace("\N{NO-BREAK SPACE}", " ")


def left_of(run: RunState) -> str:
    """``about 40 s left``; empty where that is not known."""
    return "" if run.seconds_left is None else f"about {seconds_text(run.seconds_left)} left"


def pending_lines(state: StudyState) -> list[str]:
    """A line for the seeds of a name that wait for the same reason."""
    groups = defaultdict[tuple[str, str], list[RunState]](list)
    for run in state.runs:
        if run.state == "pending":
            groups[run.name, run.reason].append(run)
    return [
        f"{'pending':<10}  {name}, {_seeds(runs)}: {reason}, {_jobs(run.job for run in runs)}"
        for (name, reason), runs in groups.items()
    ]


def _seeds(runs: Iterable[RunState]) -> str:
    seeds = sorted({run.seed for run in runs})
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _jobs(jobs: Iterable[str | None]) -> str:
    known = list(dict.fromkeys(job for job in jobs if job))
    return f"job{'s' if len(known) > 1 else ''} {', '.join(known)}"
