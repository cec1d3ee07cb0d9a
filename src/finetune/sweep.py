"""Plan and report of a multirun: ``sweep.json`` is written before it, the study's report after it."""

import json
import logging
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dbn.commands.command import print_message
from dbn.commands.configuration import resolve_config
from dbn.commands.explain import explain
from dbn.errors import SettingError, UserError
from dbn.files import write_json
from dbn.fitting.ranks import is_first
from dbn.runs.directories import study_directory
from dbn.runs.identity import INCIDENTAL, SUBMISSION
from dbn.runs.naming import NOT_NAMED, folder_name, label_count
from finetune.climb_steps import climb_of, first_trials
from finetune.job_commands import commands_of
from finetune.optuna_trials import optuna_of
from finetune.rungs import first_rung, halving_of
from finetune.runs.sweeper import is_foreign
from finetune.seed_batches import first_batch, seed_batches_of
from finetune.submission import hand_over

log = logging.getLogger(__name__)

PLAN = "sweep.json"
_finished: dict[Path, tuple[dict[str, Any] | None, float | None]] = {}
"""Directories of the studies of the current multirun, with their settings ``logger.wandb`` and ``report.margin``."""


class StudyReport(Callback):
    """Hydra callback that writes ``sweep.json`` when a multirun starts, and registers its studies for the report.

    Hydra calls ``on_multirun_end`` only if all jobs succeeded. So the report is written by :func:`at_end`, which the
    command always calls.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the plan of every study in the multirun.

        Raises:
            SystemExit: two jobs would share a directory, or the plan cannot be written. (Hydra would turn an exception
                into a warning and continue.)
        """
        if not is_first():
            return
        try:
            submitted = self.plan(config)
        except (UserError, OSError) as error:
            message = explain(error, "finetune")
            if message is None:
                raise
            print_message(message)
            _finished.clear()  # nothing has been run
            sys.exit(2)
        if submitted:
            _finished.clear()  # the report is a job of its own
            sys.exit(0)

    def plan(self, config: DictConfig) -> bool:
        """Write ``sweep.json`` of every study; with ``submit=true`` hand the jobs to SLURM.

        Returns:
            Whether they were handed over.

        Raises:
            SettingError: two jobs would share a directory, or SLURM refuses a job.
        """
        try:
            jobs = planned_jobs(config)
        except HydraException:  # a job cannot be composed: Hydra will refuse the multirun
            return False
        plan_jobs(jobs)
        if is_foreign(config):
            _finished[study_directory(config)] = resolve_config(config.logger)["wandb"], config.report.margin
        if config.submit:
            for study, own in by_study(jobs):
                print(hand_over(config, study, commands_of(own), own[0].wandb))
        return bool(config.submit)


def plan_jobs(jobs: Sequence["Job"]) -> None:
    """Write or complete ``sweep.json`` of the jobs' studies, and register these for the report.

    Raises:
        SettingError: two jobs would share a directory.
    """
    check_directories(jobs)
    for study, planned in by_study(jobs):
        if not all(job.pretrain_only for job in planned):
            _finished[study] = planned[0].wandb, planned[0].margin
        write_json(study / PLAN, {"jobs": merged(study, [job.planned for job in planned])})


def by_study(jobs: Sequence["Job"]) -> list[tuple[Path, list["Job"]]]:
    """The jobs of each study, in their order."""
    ordered = sorted(jobs, key=lambda job: job.study)
    return [(study, list(own)) for study, own in groupby(ordered, key=lambda job: job.study)]


@dataclass(frozen=True)
class Job:
    """One seed of a job of a multirun.

    Attributes:
        overrides: overrides of the job.
        study: directory of its study.
        arm: its arm; empty if the job's configuration cannot be resolved.
        name: of the run.
        seed: of the run.
        settings: all settings that may affect the result, except the seed; None if they cannot be resolved.
        pretrain_only: whether the job only pretrains stacks.
        wandb: settings of Weights & Biases.
        margin: that of the study's report, ``report.margin``.
    """

    overrides: tuple[str, ...]
    study: Path
    arm: str
    name: str
    seed: int
    settings: dict[str, Any] | None = None
    pretrain_only: bool = False
    wandb: dict[str, Any] | None = None
    margin: float | None = None

    @property
    def folder(self) -> str:
        """Name of the run's directory."""
        return f"{folder_name(self.name)}_seed{self.seed}"

    @property
    def planned(self) -> dict[str, Any]:
        """Entry of ``sweep.json``; for a job with ``pretrain_only``, that of the run that will use the stack."""
        left_out = ("pretrain_only", *SUBMISSION)
        overrides = [override for override in self.overrides if override.partition("=")[0] not in left_out]
        command = shlex.join(["dbn-finetune", *overrides])
        planned = {"arm": self.arm, "name": self.name, "seed": self.seed, "overrides": overrides, "command": command}
        if self.settings is not None:  # for the time that is left
            planned["epochs"] = self.settings["training"]["epochs"]
            planned["labels"] = label_count(self.settings["data"]["n_labelled"])
        return planned


def planned_jobs(config: DictConfig) -> list[Job]:
    """Every job of a multirun, as Hydra's sweeper will launch them; of an adaptive one, those of the first batch."""
    if not is_planned(config):
        return []
    batch, compose = jobs_in(config), composer()
    halving, climb, seeds = halving_of(config), climb_of(config), seed_batches_of(config)
    if halving is not None:
        batch = [job for own in batch for job in first_rung(own, compose(tuple(own)), halving)]
    elif climb is not None:
        batch = [job for own in batch for job in first_trials(own, compose(tuple(own)), climb)]
    elif seeds is not None:
        batch = [job for own in batch for job in first_batch(own, compose(tuple(own)), seeds)]
    return [job for job_overrides in batch for job in jobs_of(job_overrides, compose)]


def is_planned(config: DictConfig) -> bool:
    """Whether the jobs of a multirun are known before it starts: not those that depend on what came of others.

    The trials of ``sweep=optuna`` are added to the plan when they are asked for, those of sweepers of other packages
    are in no plan.
    """
    return optuna_of(config) is None and not is_foreign(config)


def jobs_in(config: DictConfig) -> list[list[str]]:
    """Overrides of each job of a multirun."""
    parameters = config.hydra.sweeper.params or {}
    # Unresolved: interpolations must be resolved for each job, not for the defaults.
    given = [str(override) for override in config.hydra.overrides.task._iter_ex(resolve=False)]
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    overrides = parser.parse_overrides([*(f"{key}={value}" for key, value in parameters.items()), *given])
    (batch,) = BasicSweeper.split_arguments(overrides, max_batch_size=None)
    return batch


def composer() -> Callable[[tuple[str, ...]], DictConfig]:
    """Composes configurations, each once."""
    return cache(lambda job: hydra.compose("finetune", list(job), return_hydra_config=True))


def jobs_of(overrides: Sequence[str], compose: Callable[[tuple[str, ...]], DictConfig]) -> list[Job]:
    """The jobs that overrides start, one for each seed.

    A job whose configuration cannot be resolved is named by its overrides: it fails when it is started, but must not
    stop the others.

    Args:
        overrides: overrides of a job, including ``sweep=``.
        compose: composes a configuration, including Hydra's own; it takes a quarter of a second, so jobs that differ in
            the numbers of their seed, trial and rung only share a configuration.
    """
    numbers = [override for override in overrides if re.fullmatch(r"(seed|search\.trial|search\.rung)=\d+", override)]
    composed = compose(tuple(override for override in overrides if override not in numbers))
    if numbers:
        composed = composed.copy()
        for key, _, number in (override.partition("=") for override in numbers):
            OmegaConf.update(composed, key, int(number))
    study = Path(str(composed.paths.runs), NOT_NAMED)
    try:
        study = study_directory({"paths": {"runs": str(composed.paths.runs)}, "study": composed.study})
        with hydra_config(composed):
            name = str(composed.name)
        config = resolve_config(OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"]))
        settings = {key: value for key, value in config.items() if key not in {*INCIDENTAL, "name", "seed"}}
        job = Job(
            tuple(overrides), study, config["arm"]["name"], name, config["seed"], settings, config["pretrain_only"],
            config["logger"]["wandb"], config["report"]["margin"],
        )  # fmt: skip
        return [replace(job, seed=job.seed + k) for k in range(config["n_parallel_seeds"])]
    except (OmegaConfBaseException, UserError, TypeError, KeyError):
        return [Job(tuple(overrides), study, "", " ".join(overrides), 0)]


@contextmanager
def hydra_config(config: DictConfig) -> Iterator[None]:
    """Set Hydra's own configuration to that of a job: its name may refer to it."""
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    try:
        yield
    finally:
        HydraConfig.instance().cfg = before


def check_directories(jobs: Sequence[Job]) -> None:
    """Refuse a multirun in which different jobs would share a directory.

    Raises:
        SettingError: two would; the message names them and gives advice.
    """
    firsts: dict[tuple[Path, str, int], Job] = {}
    for job in jobs:
        first = firsts.setdefault((job.study, folder_name(job.name), job.seed), job)
        if first.settings != job.settings:
            own = [override for override in job.overrides if override not in first.overrides]
            key = own[0].split("=")[0] if own else "seed"
            raise SettingError(
                f"name={job.name}: two jobs of this multirun would share a directory, one with "
                f"{' '.join(other for other in first.overrides if other not in job.overrides)}, one with "
                f"{' '.join(own)}. "
                f"Leave name= out (base_name={job.name} changes what comes before the swept values), or let it say "
                f"{key} too."
            )


def merged(study: Path, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Planned jobs of the study, including those of earlier multiruns."""
    path = study / PLAN
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))["jobs"] if path.is_file() else []
    except (ValueError, KeyError):
        log.warning("%s cannot be read; it is written anew.", path)
        earlier = []
    known = {(job["name"], job["seed"]) for job in jobs}
    return [job for job in earlier if (job["name"], job["seed"]) not in known] + jobs


def at_end() -> None:
    """Write the reports of the studies of the current multirun, also if jobs have failed."""
    if not _finished:
        return
    # Here: matplotlib, pandas, scipy and Lightning, which a single run or an invalid command line has no use for.
    from finetune.report import write_report
    from finetune.report.pages.tracked_report import track_report

    while _finished:
        study, (wandb, margin) = _finished.popitem()
        try:
            report = write_report(study, margin=margin)
        except UserError as error:
            log.error("No report: %s", error)
            continue
        track_report(study, report, wandb)
        print(report.text, f"\nreport: {report.html}", sep="\n")
