"""How many runs of a submitted sweep a job makes: a number, as many as take a time, or as few jobs as a site allows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from dbn.errors import SettingError
from finetune.report.results.planned_runs import read_plan
from finetune.report.results.study import scan_study
from finetune.report.results.time_left import Durations

T = TypeVar("T")


def packs_of(commands: Sequence[T], runs_per_job: int) -> list[list[T]]:
    """Commands in packs of a number, in their order; the last one may be smaller."""
    return [list(commands[k : k + runs_per_job]) for k in range(0, len(commands), runs_per_job)]


def packs_by_time(commands: Sequence[T], seconds: Sequence[float], limit: float) -> list[list[T]]:
    """Commands in packs that take at most ``limit`` seconds, in their order; one that takes longer is alone.

    Args:
        commands: what is packed.
        seconds: of each.
        limit: of a pack.
    """
    packs: list[list[T]] = []
    left = 0.0
    for command, own in zip(commands, seconds, strict=True):
        if not packs or own > left:
            packs.append([])
            left = limit
        packs[-1].append(command)
        left -= own
    return packs


def at_most(packs: list[list[T]], largest: int) -> list[list[T]]:
    """The packs if there are at most ``largest``; else the same commands in packs of equal size, as many as allowed."""
    if len(packs) <= largest:
        return packs
    commands = [command for pack in packs for command in pack]
    return packs_of(commands, -(-len(commands) // largest))


def seconds_of_runs(study: Path) -> Mapping[str, float]:
    """Expected seconds of each planned run by the name of its directory, by what runs of the study took.

    Pretraining is counted with every run that starts from a stack, though runs that share one pretrain it once.

    Raises:
        SettingError: no run of the study is done.
    """
    done = [
        replace(run, seconds=run.seconds + (run.pretrain_seconds or 0.0))
        for run in scan_study(study).of_stage("finetune")
        if run.seconds is not None
    ]
    if not done:
        raise SettingError(
            f"job_minutes: no run of {study} is done, so that nothing is known of how long one takes. Make one first, "
            "or give runs_per_job=10, say, in place of job_minutes."
        )
    durations = Durations(done)
    planned = {run.folder: durations.seconds_of(run) for run in read_plan(study)[0]}
    return {folder: seconds for folder, seconds in planned.items() if seconds is not None}
