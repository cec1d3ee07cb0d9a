"""Search by Optuna: it is asked for the settings of trials, and told what came of them.

Each job of a multirun has a study of Optuna's, in the file ``optuna/journal.log`` in the folder of its study. A search
that is called again goes on where it was: trials that were asked for and not told are trained to their end first.
"""

import json
import logging
import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from dbn.commands.configuration import resolve_config
from dbn.errors import RunConflictError, SettingError
from dbn.random.streams import stream_seed
from dbn.runs.directories import lock
from dbn.runs.identity import run_identity
from dbn.runs.naming import label_count
from dbn.runs.run import RESULT, differences_of
from dbn.settings import call_factory, check_group
from finetune.halving import Launch, check_validation, directory_of, reason_of
from finetune.optuna_trials import (
    OptunaOptions,
    check_sampler,
    distributions_of,
    optuna_job,
    settings_of_trial,
    value_text,
)
from finetune.runs.objective import check_objective, objective_values, objectives_of
from finetune.runs.optuna_study import check_pruner, import_optuna, journal_of, storage_of, study_name
from finetune.runs.search_space import check_space
from finetune.sweep import composer, hydra_config, jobs_in, jobs_of, plan_jobs

log = logging.getLogger(__name__)

SEARCH = "search"
"""Attribute of a study: what all of its trials have in common."""
FAILED = "failed"
"""Attribute of a trial: why it failed."""
ENDED = ("COMPLETE", "PRUNED")
"""States of the trials that count."""
FAILURES = 5
"""So many trials that fail before one succeeds end the search: it is not their settings then."""


@dataclass
class Searched:
    """A job of the multirun with its study.

    Attributes:
        job: its overrides.
        config: its configuration.
        storage: Optuna's, of the study's file.
        study: of Optuna's.
        distributions: of what is searched.
        waiting: trials that were asked for and not told: overrides by number.
        errors: Hydra's records of the trials that failed in this call.
    """

    job: list[str]
    config: DictConfig
    storage: Any
    study: Any
    distributions: dict[str, Any]
    waiting: dict[int, list[str]] = field(default_factory=dict)
    errors: list[Any] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The job in words."""
        return f"{self.config.arm.name}, {self.config.data.name}, {label_count(self.config.data.n_labelled)} labels"

    @property
    def told(self) -> list[Any]:
        """The trials that have ended, failed ones included."""
        return [trial for trial in self.study.get_trials(deepcopy=False) if trial.state.name in ENDED]

    @property
    def has_succeeded(self) -> bool:
        """Whether any trial has a value."""
        return any(FAILED not in trial.user_attrs for trial in self.told)

    def mark(self, number: int, attribute: str, value: str) -> None:
        """Set an attribute of a trial that is not told yet."""
        study = self.storage.get_study_id_from_name(self.study.study_name)
        trial = self.storage.get_trial_id_from_study_id_trial_number(study, number)
        self.storage.set_trial_user_attr(trial, attribute, value)


def search_with_optuna(config: DictConfig, options: OptunaOptions, launch: Launch) -> None:
    """Search the settings of each job of a multirun.

    A trial that fails or diverges has the value infinity: it is worse than all others, and the sampler keeps away from
    its settings.

    Args:
        config: of the multirun, with Hydra's own.
        options: of the search.
        launch: runs a batch of jobs.

    Raises:
        SettingError: an invalid setting, or Optuna is not installed.
        RunConflictError: the study has trials of another search.
        Exception: the error of a trial, if all trials of a job fail.
    """
    optuna = import_optuna()
    check_sampler(options.sampler, optuna)
    compose = composer()
    jobs = [(job, compose(tuple(job))) for job in jobs_in(config)]
    for _, own_config in jobs:
        check_job(own_config)
    with ExitStack() as locks:
        for folder in sorted({journal_of(own_config).parent for _, own_config in jobs}):
            locks.enter_context(lock(folder))
        searched = [open_study(job, own_config, compose, optuna) for job, own_config in jobs]
        while batch := [own for own in searched if ask(own, options)]:
            plan_jobs([one for own in batch for job in own.waiting.values() for one in jobs_of(job, compose)])
            for own in batch:
                log.info("%s: %d of %d trials done", own.label, len(own.told), options.n_trials)
            records = iter(launch([job for own in batch for job in own.waiting.values()]))
            for own in batch:
                for number, job in own.waiting.items():
                    tell(own, number, job, next(records), compose)
                own.waiting = {}
                if len(own.errors) >= FAILURES and not own.has_succeeded:
                    _ = own.errors[0].return_value
        for own in searched:
            if own.errors and not own.has_succeeded:
                _ = own.errors[0].return_value
            say_best(own)


def check_job(config: DictConfig) -> None:
    """Check what a job of the multirun says of its search, before the first trial.

    Raises:
        SettingError: an invalid setting.
    """
    with hydra_config(config):
        plain = resolve_config(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))
    check_validation(plain)
    check_objective(plain)
    check_space(plain["space"])
    check_group("search", plain["search"])
    check_pruner(plain["search"].get("pruner"), plain)
    if config.pretrain_only:
        raise SettingError("pretrain_only=true: a stack is judged by the networks that start from it. Leave it out.")


def open_study(job: list[str], config: DictConfig, compose: Any, optuna: Any) -> Searched:
    """The study of a job, made or found; trials that were interrupted wait to be trained to their end.

    Settings that the command line gives are not searched.

    Raises:
        RunConflictError: it has trials of another search.
    """
    given = {override.partition("=")[0].lstrip("+") for override in job}
    space = resolve_config(OmegaConf.masked_copy(config, ["space"]))["space"]
    space = {key: dimension for key, dimension in space.items() if key not in given}
    distributions, objectives = distributions_of(space, optuna), list(objectives_of(config))
    seeds = jobs_of(optuna_job(job, 0, {}), compose)
    name, storage = study_name(seeds[0].name, 0), storage_of(journal_of(config))
    study = optuna.create_study(
        storage=storage, study_name=name, directions=["minimize"] * len(objectives), load_if_exists=True
    )
    settings = run_identity(seeds[0].settings or {})
    settings["search"] = {"pruner": settings["search"].get("pruner")}
    settings |= {"objective": objectives, "space": space, "seeds": [one.seed for one in seeds], "searched": None}
    check_same_search(study, json.loads(json.dumps(settings)), journal_of(config))
    own = Searched(job, config, storage, study, distributions)
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        if trial.params.keys() == space.keys():
            own.waiting[trial.number] = optuna_job(job, trial.number, settings_of_trial(trial.params))
        else:  # an earlier version was killed while it asked for it: no run has its number
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return own


def check_same_search(study: Any, settings: Mapping[str, Any], journal: Path) -> None:
    """Refuse a study whose trials are of another search: their values say nothing of this one's settings.

    Raises:
        RunConflictError: they are; the message names the setting that differs.
    """
    before = study.user_attrs.get(SEARCH)
    if before is None:
        study.set_user_attr(SEARCH, settings)
        return
    differences = list(differences_of(before, settings))
    if differences:
        key, old, new = differences[0]
        raise RunConflictError(
            f"{journal} has trials of {study.study_name} with {key}={old}, this search has {key}={new}. Give this "
            "one a study of its own (study=...), or move the folder of the old one away."
        )


def ask(own: Searched, options: OptunaOptions) -> bool:
    """Ask for as many trials as may train together; returns whether there are any to train.

    The sampler is seeded for each trial anew, so that a search that goes on draws what it would have drawn.
    """
    while len(own.waiting) < options.n_together and len(own.told) + len(own.waiting) < options.n_trials:
        number = len(own.study.get_trials(deepcopy=False))
        seed = stream_seed(options.seed, f"optuna {own.study.study_name}", number) % 2**32
        trial = ask_at_once(own, call_factory("hydra.sweeper.sampler", instantiate(options.sampler), seed=seed))
        own.waiting[trial.number] = optuna_job(own.job, trial.number, settings_of_trial(trial.params))
    return bool(own.waiting)


def ask_at_once(own: Searched, sampler: Any) -> Any:
    """Ask a sampler for a trial; the study's file gets it whole.

    Optuna's own ``ask`` writes a record for the trial and one for each of its settings: a process that is killed
    between them would leave a number that no run has, and the trials after it would be others.
    """
    optuna = import_optuna()
    known = optuna.create_study(directions=own.study.directions, sampler=sampler)
    for trial in own.study.get_trials():
        known.add_trial(trial)
    number = known.ask(own.distributions).number
    asked = known.get_trials()[number]
    study = own.storage.get_study_id_from_name(own.study.study_name)
    return own.storage.get_trial(own.storage.create_new_trial(study, template_trial=asked))


def tell(own: Searched, number: int, job: list[str], record: Any, compose: Any) -> None:
    """Tell Optuna what came of a trial, from the results in the directories of its runs."""
    files = [directory_of(one) / RESULT for one in jobs_of(job, compose)]
    results = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
    values = objective_values(results, own.config) if len(results) == len(files) else None
    if values is None or math.inf in values:
        reason = reason_of(record)
        log.warning("%s: trial %d failed. %s", own.label, number, reason)
        own.errors.append(record)
        own.mark(number, FAILED, reason)
        values = [math.inf] * len(objectives_of(own.config))
    elif any(result.get("pruned") for result in results):
        own.study.tell(number, state=import_optuna().trial.TrialState.PRUNED)
        return
    own.study.tell(number, values)


def say_best(own: Searched) -> None:
    """Log the best trial, or with several objectives those of which none is better in all."""
    objectives = objectives_of(own.config)
    for trial in own.study.best_trials:
        values = ", ".join(f"{name} {value:.4g}" for name, value in zip(objectives, trial.values, strict=True))
        settings = " ".join(f"{key}={value_text(value)}" for key, value in settings_of_trial(trial.params).items())
        log.info("%s: trial %d has %s with %s", own.label, trial.number, values, settings)
