"""The studies of Optuna behind ``sweep=optuna``: where they are kept, and when a trial is to stop.

A job of the sweep has a study of Optuna's, which holds the settings, reported values and outcome of every trial. All
studies of one study of this package are in one file, a journal, which several processes and nodes may write to.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from dbn.commands.factories import check_factory
from dbn.errors import DataError, SettingError
from dbn.runs.directories import study_directory
from finetune.runs.objective import COSTS, objectives_of

FOLDER = "optuna"
"""Folder in that of the study."""
JOURNAL = "journal.log"
PRUNED_AT = "pruned_after_epochs"
"""Attribute of a trial that was stopped: the number of epochs after which it was."""


def import_optuna() -> Any:
    """The package Optuna.

    Raises:
        SettingError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise SettingError(
            "sweep=optuna, search.pruner: these need the package Optuna, which is not installed. "
            "pip install 'layerwise-dbn[sweepers]' installs it; sweep=tune searches without it."
        ) from error
    optuna.logging.set_verbosity(logging.WARNING)
    return optuna


def journal_of(config: Mapping[str, Any] | DictConfig) -> Path:
    """The file that holds the studies, ``<runs>/<study>/optuna/journal.log``."""
    return study_directory(config) / FOLDER / JOURNAL


def storage_of(journal: Path) -> Any:
    """Optuna's storage in a file, which is made if it is not there."""
    optuna = import_optuna()
    journal.parent.mkdir(parents=True, exist_ok=True)
    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))


def study_name(name: str, trial: int | None) -> str:
    """Name of the study of a run's trial: that of the run without the trial.

    Raises:
        SettingError: the run's name does not say which trial it is.
    """
    end = f"_trial{trial}"
    if not name.endswith(end):
        raise SettingError(
            f"name={name}: with sweep=optuna a name ends with _trial${{search.trial}}, which keeps trials apart. Leave "
            "name= out (base_name=... changes what it starts with)."
        )
    return name.removesuffix(end)


def check_pruner(pruner: Mapping[str, Any] | None, config: Mapping[str, Any]) -> None:
    """Check ``search.pruner`` by making it.

    Raises:
        SettingError: an invalid setting; Optuna is not installed; several objectives.
    """
    if pruner is None:
        return
    optuna = import_optuna()
    made: list[Any] = []
    check_factory("search.pruner", pruner, made.append, partial=False)
    if not isinstance(made[-1], optuna.pruners.BasePruner):
        raise SettingError(
            f"search.pruner._target_={pruner['_target_']}: it is no pruner of Optuna's. Use "
            "optuna.pruners.MedianPruner."
        )
    objectives = objectives_of(config)
    if len(objectives) > 1:
        raise SettingError(
            f"objective=[{','.join(objectives)}], search.pruner: a trial is stopped by one objective. Give one, or "
            "train all trials to their end, search.pruner=null."
        )
    assert objectives[0] not in COSTS, "check_objective refuses it"


class OpenTrial:
    """A trial of a study, as a job sees it while it trains.

    Args:
        config: of the run.

    Attributes:
        pruned_at: number of epochs after which it was stopped; None while it was not. It stays what it is: a run that
            is resumed, or made again, stops at the same place.

    Raises:
        SettingError: the run is no trial.
        DataError: Optuna's file does not know the trial.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        optuna = import_optuna()
        number = config["search"]["trial"]
        if number is None:
            raise SettingError(
                "search.pruner: it stops trials that are behind other trials, and this run is none. Use sweep=optuna, "
                "or search.pruner=null."
            )
        journal, name = journal_of(config), study_name(config["name"], number)
        unknown = DataError(
            f"search.pruner: {journal} has no trial {number} of {name}, which sweep=optuna writes there before it "
            "starts the run. search.pruner=null trains it to its end, without the others."
        )
        if not journal.is_file():
            raise unknown
        self.storage = storage_of(journal)
        pruner = instantiate(config["search"]["pruner"])
        try:
            study = self.storage.get_study_id_from_name(name)
            self.id = self.storage.get_trial_id_from_study_id_trial_number(study, number)
        except KeyError as error:
            raise unknown from error
        self.study = optuna.load_study(
            study_name=name, storage=self.storage, sampler=optuna.samplers.RandomSampler(), pruner=pruner
        )
        trial = self.storage.get_trial(self.id)
        self.is_over = trial.state.is_finished()
        self.reported = max(trial.intermediate_values, default=0)
        self.pruned_at: int | None = trial.user_attrs.get(PRUNED_AT)

    def report(self, epochs: int, value: float) -> bool:
        """Report the objective after a number of epochs; returns whether the trial is to stop here.

        A run that goes on says again what it has said before; of the last of it, nothing may have been decided yet.
        """
        if self.pruned_at is not None:
            return epochs >= self.pruned_at
        if self.is_over or epochs < self.reported:
            return False
        if epochs > self.reported:
            self.storage.set_trial_intermediate_value(self.id, epochs, value)
            self.reported = epochs
        if self.study.pruner.prune(self.study, self.storage.get_trial(self.id)):
            self.storage.set_trial_user_attr(self.id, PRUNED_AT, epochs)
            self.pruned_at = epochs
        return self.pruned_at is not None
