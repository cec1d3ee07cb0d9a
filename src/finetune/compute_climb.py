"""Compute as an axis: every job of a multirun is trained 1, 3, 10, ... times its epochs, for as long as it gains.

On every step learning rate and weight decay are chosen again, from a few values round those of the step before, and
from some beyond while the best is the largest or smallest, by validation on seeds of their own; then the seeds that are
reported are trained. Results are read from the runs' directories, so that a study that was interrupted goes on where it
was.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from omegaconf import DictConfig

from dbn.runs.naming import label_count
from dbn.runs.run import RESULT
from finetune.climb_steps import DECAY, RATE, Climb, starting_settings, step_job
from finetune.halving import Launch, check_validation, directory_of, reason_of
from finetune.report.comparison.compute_curves import ladder_ends, progress_of
from finetune.report.comparison.tuning import TIE_BREAKER
from finetune.report.results.run_result import RunResult, read_run_result
from finetune.runs.objective import objective_of
from finetune.sweep import composer, jobs_in, jobs_of, plan_jobs

log = logging.getLogger(__name__)


@dataclass
class Climber:
    """A job of the multirun on its way.

    Attributes:
        job: its overrides.
        config: its configuration.
        settings: learning rate and weight decay of the last step.
        tried: validation metric, its tie breaker and settings of each trial of the current step that succeeded.
        values: learning rates and weight decays of all trials of the current step.
        progress: metric of each step so far, on validation images that choose nothing where there are any.
        kind: side of its arm, once it has results.
    """

    job: list[str]
    config: DictConfig
    settings: dict[str, float]
    tried: list[tuple[float, float, dict[str, float]]] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)
    progress: list[float] = field(default_factory=list)
    kind: str = ""

    @property
    def label(self) -> str:
        """The job in words."""
        return f"{self.config.arm.name}, {self.config.data.name}, {label_count(self.config.data.n_labelled)} labels"

    @property
    def group(self) -> tuple[Any, ...]:
        """Jobs that are compared with each other."""
        return self.config.data.name, self.config.data.n_labelled, self.kind


def climb(config: DictConfig, options: Climb, launch: Launch) -> None:
    """Train each job of a multirun on one step after another.

    Args:
        config: of the multirun, with Hydra's own.
        options: of the climb.
        launch: runs a batch of jobs.

    Raises:
        SettingError: there are no validation images.
    """
    compose = composer()
    composed = [(job, compose(tuple(job))) for job in jobs_in(config)]
    for _, its_config in composed:
        check_validation(its_config)
    climbers = [Climber(job, its_config, starting_settings(its_config)) for job, its_config in composed]
    for step, times in enumerate(options.times):
        log.info("step %d of %d: %d times the epochs, %d jobs", step + 1, len(options.times), times, len(climbers))
        choose_settings(climbers, times, options, launch, compose)
        climbers = train_step(climbers, times, options, launch, compose)
        climbers = going_on(climbers, step, options)


def choose_settings(climbers: Sequence[Climber], times: int, options: Climb, launch: Launch, compose: Any) -> None:
    """Choose the learning rate of every job, then its weight decay, and widen their ranges while the best is at an end.

    Args:
        climbers: the jobs; their settings become those of the best trial of the step.
        times: how often the epochs are multiplied.
        options: of the climb.
        launch: runs a batch of jobs.
        compose: the configuration of overrides.
    """
    for own in climbers:
        own.tried, own.values = [], {RATE: [], DECAY: []}
    for key in (RATE, DECAY):
        try_out(climbers, [options.candidates(key, own.settings) for own in climbers], times, options, launch, compose)
    for key in (RATE, DECAY):
        for number in range(options.widen):
            trials = [options.beyond(key, number, own.settings, own.values[key]) for own in climbers]
            try_out(climbers, trials, times, options, launch, compose)


def try_out(
    climbers: Sequence[Climber], trials: Sequence[Mapping[int, dict[str, float]]], times: int, options: Climb,
    launch: Launch, compose: Any,
) -> None:  # fmt: skip
    """Run trials of every job, by their numbers, and take the settings of the best of the step so far."""
    batches = [
        {number: step_job(own.job, own.config, times, settings, number, options) for number, settings in each.items()}
        for own, each in zip(climbers, trials, strict=True)
    ]
    records = iter(run(launch, [job for batch in batches for job in batch.values()], compose))
    for own, each, batch in zip(climbers, trials, batches, strict=True):
        metric = objective_of(own.config)
        for number, settings in each.items():
            results, record = results_of(batch[number], compose), next(records)
            for key, values in own.values.items():
                values.append(settings[key])
            if not results or any(metric not in result.metrics for result in results):
                log.warning("%s: trial %d of %s failed. %s", own.label, number, settings, reason_of(record))
            else:
                value = fmean(result.metrics[metric] for result in results)
                nll = fmean(result.metrics.get(TIE_BREAKER, float("inf")) for result in results)
                own.tried.append((value, nll, settings))
        if own.tried:  # otherwise the runs that follow say what is wrong
            own.settings = min(own.tried, key=lambda one: one[:2])[2]


def train_step(climbers: Sequence[Climber], times: int, options: Climb, launch: Launch, compose: Any) -> list[Climber]:
    """Train the reported seeds of every job; returns the jobs whose runs have all succeeded.

    Raises:
        Exception: the error of the first job, if all have failed.
    """
    batch = [step_job(own.job, own.config, times, own.settings, None, options) for own in climbers]
    records = run(launch, batch, compose)
    succeeded = []
    for own, job, record in zip(climbers, batch, records, strict=True):
        results = results_of(job, compose)
        progress = progress_of(results, objective_of(own.config)) if results else None
        if progress is None:
            log.warning("%s: failed with %d times the epochs. %s", own.label, times, reason_of(record))
            continue
        own.progress.append(progress)
        own.kind = results[0].kind
        succeeded.append(own)
    if records and not succeeded:
        _ = records[0].return_value
    return succeeded


def going_on(climbers: Sequence[Climber], step: int, options: Climb) -> list[Climber]:
    """The jobs that are trained longer: those that still gain and are not far behind the best of their side."""
    remaining = []
    for own in climbers:
        best = min(other.progress[-1] for other in climbers if other.group == own.group)
        if ladder_ends(own.progress, options.gain):
            log.info("%s: gains no more.", own.label)
        elif step > 0 and options.cut is not None and own.progress[-1] > best * (1 + options.cut):
            log.info("%s: cut, far behind the best arm of its side.", own.label)
        else:
            remaining.append(own)
    return remaining


def run(launch: Launch, batch: list[list[str]], compose: Any) -> Sequence[Any]:
    """Launch jobs, after adding them to the plans of their studies; returns Hydra's records."""
    if not batch:
        return []
    plan_jobs([job for overrides in batch for job in jobs_of(overrides, compose)])
    return launch(batch)


def results_of(overrides: list[str], compose: Any) -> list[RunResult]:
    """Results of all seeds of a job; empty unless each has one."""
    directories = [directory_of(job) for job in jobs_of(overrides, compose)]
    if not all((directory / RESULT).is_file() for directory in directories):
        return []
    return [read_run_result(directory, "finetune", directory.parents[1]) for directory in directories]
