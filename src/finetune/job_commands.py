"""The commands that the jobs of a submitted sweep run, and which of them have left what they would make."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from dbn.runs.identity import SUBMISSION
from dbn.runs.overrides import overrides_of


@dataclass(frozen=True)
class Command:
    """A command that a job runs.

    Attributes:
        overrides: of dbn-finetune.
        folders: names of the directories of the runs that it makes.
    """

    overrides: tuple[str, ...]
    folders: tuple[str, ...]


def commands_of(jobs: Iterable[Any]) -> list[Command]:
    """Commands of planned jobs, see :class:`finetune.sweep.Job`; seeds that train together are one."""
    commands = []
    for overrides, own in groupby(jobs, key=lambda job: job.overrides):
        kept = [one for one in overrides if one.lstrip("+").partition("=")[0] not in SUBMISSION]
        # One run, though a file of the group sweep asks for many.
        commands.append(Command((*kept, "hydra.mode=RUN"), tuple(job.folder for job in own)))
    return commands


def is_done(study: Path, command: Command) -> bool:
    """Whether all of the command's runs are done, by the same settings.

    A run of that name that other overrides have made is handed to a job: there the configurations are compared, and the
    run is found done, or refused.
    """
    folders = [study / "finetune" / folder for folder in command.folders]
    wanted = _settings_of(command.overrides)
    return all((one / "result.json").is_file() and _settings_of(overrides_of(one)) == wanted for one in folders)


def _settings_of(overrides: Iterable[str]) -> set[str]:
    """Overrides without those that say how and where jobs are run."""
    asked = {override.lstrip("+") for override in overrides}
    return {
        one for one in asked if not one.startswith(("hydra.", "hydra/")) and one.partition("=")[0] not in SUBMISSION
    }
