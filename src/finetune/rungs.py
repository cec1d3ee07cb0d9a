"""The rungs of successive halving: how many trials each has, and the overrides of a trial's job."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from dbn.settings import check_number

SWEEPER = "SuccessiveHalving"
TRIAL = "search.trial="
"""Override of a command that does single trials, such as those of ``dbn-status``."""


@dataclass(frozen=True)
class Halving:
    """Settings of ``hydra/sweeper=successive_halving``.

    Attributes:
        n_settings: settings that are drawn for each job.
        n_widened: settings that are drawn beyond an edge on which a choice lies; 0: none.
        n_rungs: number of rungs; the last trains for all epochs.
        factor: the best of every ``factor`` trials go on to the next rung, which trains ``factor`` times longer.

    References:
        Jamieson & Talwalkar (2016), *Non-stochastic best arm identification and hyperparameter optimization*,
        AISTATS, algorithm 1.
    """

    n_settings: int
    n_widened: int
    n_rungs: int
    factor: int

    def __post_init__(self) -> None:
        check_number("hydra.sweeper.n_settings", self.n_settings, low=1, whole=True)
        check_number("hydra.sweeper.n_widened", self.n_widened, low=0, whole=True)
        check_number("hydra.sweeper.n_rungs", self.n_rungs, low=1, whole=True)
        check_number("hydra.sweeper.factor", self.factor, low=2, whole=True)

    def survivors(self, n: int) -> int:
        """How many of ``n`` trials go on to the next rung."""
        return max(1, round(n / self.factor))

    def epochs(self, rung: int, epochs: int) -> int:
        """Epochs of training on a rung, of ``epochs`` on the last."""
        return max(1, round(epochs / float(self.factor ** (self.n_rungs - 1 - rung))))


def halving_of(config: DictConfig) -> Halving | None:
    """The settings of successive halving of a multirun; None if it has another sweeper, or says which trials to run.

    Raises:
        SettingError: an invalid setting.
    """
    if not is_search_by(SWEEPER, config):
        return None
    return Halving(**{name: config.hydra.sweeper[name] for name in Halving.__dataclass_fields__})


def is_search_by(sweeper: str, config: DictConfig) -> bool:
    """Whether a multirun is a search by a sweeper, named by its class, and no command that does single trials."""
    given = [str(override) for override in config.hydra.overrides.task._iter_ex(resolve=False)]
    return str(config.hydra.sweeper.get("_target_", "")).endswith(f".{sweeper}") and not any(
        override.startswith(TRIAL) for override in given
    )


def first_rung(job: Sequence[str], config: DictConfig, options: Halving) -> list[list[str]]:
    """Overrides of the first trials of a job of the multirun."""
    return [trial_job(job, config, options, number, 0) for number in range(options.n_settings)]


def trial_job(job: Sequence[str], config: DictConfig, options: Halving, trial: int, rung: int) -> list[str]:
    """Overrides of a trial on a rung.

    The rung's epochs are part of them: its learning-rate schedule has that length, and what is counted in epochs is
    shortened alike.

    Args:
        job: overrides of the job of the multirun.
        config: its configuration.
        options: of successive halving.
        trial: number of the trial.
        rung: number of the rung.
    """
    training = config.training
    epochs = options.epochs(rung, training.epochs)
    own: dict[str, Any] = {"search.trial": trial, "search.rung": rung, "training.epochs": epochs}
    own["training.validate_every"] = min(training.validate_every, epochs)
    if training.head_epochs:
        own["training.head_epochs"] = round(training.head_epochs * epochs / training.epochs)
    kept = [override for override in job if override.partition("=")[0] not in own]
    return [*kept, *(f"{key}={value}" for key, value in own.items())]
