"""Search by successive halving: every job of a multirun is tuned with the same budget.

A job's settings are trained for a part of the epochs; the best third of them is trained again, three times longer, and
so on, until the last rung trains for all epochs. If the best setting then lies on the edge of a range, further settings
are drawn, from a range that goes on beyond the edge, and halved in the same way.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig, OmegaConf

from dbn.commands.configuration import resolve_config
from dbn.errors import SettingError
from dbn.runs.naming import folder_name, label_count
from dbn.runs.run import RESULT
from finetune.report.comparison.tuning import Trial, trials_of
from finetune.report.results.run_result import RunResult, read_run_result
from finetune.rungs import Halving, trial_job
from finetune.runs.objective import check_objective, objective_of
from finetune.runs.search_space import edges
from finetune.sweep import Job, composer, jobs_in, jobs_of, plan_jobs

log = logging.getLogger(__name__)

Launch = Callable[[list[list[str]]], Sequence[Any]]
"""Runs jobs, given by their overrides; returns Hydra's record of each."""


@dataclass
class Tuned:
    """A job of the multirun, and the trials of it that go on.

    Attributes:
        job: its overrides, and those of widened ranges.
        config: its configuration.
        waiting: numbers of the trials to train on the next rung.
        ends: trials of the last rung.
    """

    job: list[str]
    config: DictConfig
    waiting: list[int]
    ends: list[Trial] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The job in words."""
        return f"{self.config.arm.name}, {self.config.data.name}, {label_count(self.config.data.n_labelled)} labels"


def search(config: DictConfig, options: Halving, launch: Launch) -> None:
    """Tune each job of a multirun.

    Results are read from the runs' directories, so that a search that was interrupted goes on where it was. A trial
    that fails is worse than all others.

    Args:
        config: of the multirun, with Hydra's own.
        options: of successive halving.
        launch: runs a batch of jobs.

    Raises:
        SettingError: an invalid setting, or there are no validation images.
        Exception: the error of a trial, if all trials of a job fail.
    """
    compose = composer()
    tuned = [Tuned(job, compose(tuple(job)), list(range(options.n_settings))) for job in jobs_in(config)]
    for own in tuned:
        check_validation(own.config)
        check_objective(own.config)
        objective_of(own.config)
    if all(own.config.pretrain_only for own in tuned):  # a trial has the same stacks on every rung
        for record in launch(plan_rung(tuned, options, 0, compose)):
            _ = record.return_value
        return
    climb(tuned, options, launch, compose)
    wider = [more for own in tuned if (more := beyond_edges(own, options, compose)) is not None]
    climb(wider, options, launch, compose)


def check_validation(config: Mapping[str, Any] | DictConfig) -> None:
    """Raise :class:`SettingError` if there are no validation images to choose by."""
    if config["data"].get("validation") == 0:
        raise SettingError(
            "data.validation=0: a search chooses by validation images. Hold some out, data.validation=0.2."
        )


def climb(tuned: Sequence[Tuned], options: Halving, launch: Launch, compose: Any) -> None:
    """Train the waiting trials of jobs rung by rung; the trials of the last rung are added to each job's ``ends``."""
    if not tuned:
        return
    for rung in range(options.n_rungs):
        batch = plan_rung(tuned, options, rung, compose)
        log.info("rung %d of %d: %d jobs", rung + 1, options.n_rungs, len(batch))
        records = iter(launch(batch))
        for own in tuned:
            own_records = [next(records) for _ in own.waiting]
            found = finished_trials(own, options, rung, compose)
            if not found:
                for record in own_records:
                    _ = record.return_value  # raises the error of a job that failed
                raise SettingError(f"{own.label}: no trial has a finite {objective_of(own.config)}.")
            ended = {trial.number for trial in found}
            for number, record in zip(own.waiting, own_records, strict=True):
                if number not in ended:
                    log.warning("%s: trial %d failed on rung %d. %s", own.label, number, rung + 1, reason_of(record))
            best = sorted(found, key=lambda trial: trial.order)
            if rung == options.n_rungs - 1:
                own.ends += found
            else:
                own.waiting = sorted(trial.number for trial in best[: options.survivors(len(own.waiting))])


def reason_of(record: Any) -> str:
    """Why a job has failed."""
    try:
        _ = record.return_value
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "Its metric is not finite."


def plan_rung(tuned: Sequence[Tuned], options: Halving, rung: int, compose: Any) -> list[list[str]]:
    """Overrides of all jobs of a rung, which are added to the plans of their studies."""
    batch = [trial_job(own.job, own.config, options, number, rung) for own in tuned for number in own.waiting]
    plan_jobs([job for overrides in batch for job in jobs_of(overrides, compose)])
    return batch


def finished_trials(own: Tuned, options: Halving, rung: int, compose: Any) -> list[Trial]:
    """The waiting trials whose runs have all ended with a finite metric."""
    runs: list[RunResult] = []
    for number in own.waiting:
        jobs = jobs_of(trial_job(own.job, own.config, options, number, rung), compose)
        directories = [directory_of(job) for job in jobs]
        if all((directory / RESULT).is_file() for directory in directories):
            runs += [read_run_result(directory, "finetune", directory.parents[1]) for directory in directories]
    return trials_of(runs, objective_of(own.config))


def directory_of(job: Job) -> Any:
    """Directory of a job's run."""
    return job.study / "finetune" / f"{folder_name(job.name)}_seed{job.seed}"


def beyond_edges(own: Tuned, options: Halving, compose: Any) -> Tuned | None:
    """Further trials of a job whose best setting lies on the edge of a logarithmic range; None if it does not."""
    if not options.n_widened:
        return None
    space = resolve_config(OmegaConf.masked_copy(own.config, ["space"]))["space"]
    best = min(own.ends, key=lambda trial: trial.order)
    sides = {
        side: [key for key in keys if space[key].get("log")]
        for side, keys in zip(("above", "below"), edges(space, best.settings), strict=True)
    }
    if not any(sides.values()):
        return None
    log.info(
        "%s: %s on an edge; the range is widened.", own.label, ", ".join(k for keys in sides.values() for k in keys)
    )
    job = [*own.job, *(f"search.{side}=[{','.join(keys)}]" for side, keys in sides.items() if keys)]
    numbers = range(options.n_settings, options.n_settings + options.n_widened)
    return Tuned(job, compose(tuple(job)), list(numbers))
