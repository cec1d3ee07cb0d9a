"""The trials of ``sweep=optuna``: settings of the sweeper, Optuna's search space, overrides of a trial's job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from dbn.commands.factories import check_factory
from dbn.commands.texts import quoted
from dbn.errors import SettingError
from dbn.settings import check_number, format_value
from finetune.rungs import is_search_by

SWEEPER = "OptunaSearch"


@dataclass(frozen=True)
class OptunaOptions:
    """Settings of ``hydra/sweeper=optuna_search``.

    Attributes:
        n_trials: trials of each job of the multirun, those of earlier calls included.
        n_together: trials that are asked for before any of them is told; as many of every job are launched at once.
        seed: of the sampler, with the name of the job and the number of the trial.
        sampler: Optuna's, a class that takes ``seed``, with its settings.
    """

    n_trials: int
    n_together: int
    seed: int
    sampler: Mapping[str, Any]

    def __post_init__(self) -> None:
        check_number("hydra.sweeper.n_trials", self.n_trials, low=1, whole=True)
        check_number("hydra.sweeper.n_together", self.n_together, low=1, whole=True)
        check_number("hydra.sweeper.seed", self.seed, low=0, whole=True)


def optuna_of(config: DictConfig) -> OptunaOptions | None:
    """The settings of the search of a multirun; None if it has another sweeper, or says which trials to run.

    Raises:
        SettingError: an invalid setting.
    """
    if not is_search_by(SWEEPER, config):
        return None
    sweeper: Any = OmegaConf.to_container(config.hydra.sweeper, resolve=True)
    return OptunaOptions(**{name: sweeper[name] for name in OptunaOptions.__dataclass_fields__})


def check_sampler(sampler: Mapping[str, Any], optuna: Any) -> None:
    """Check ``hydra.sweeper.sampler`` by making it.

    Raises:
        SettingError: it cannot be made, or goes through a sequence or a grid, which a seed for each trial would break.
    """
    made: list[Any] = []
    samplers = optuna.samplers

    def attempt(factory: Any) -> None:
        made.append(factory(seed=0))
        if isinstance(made[-1], samplers.BaseSampler):  # some settings are first looked at when it is asked
            optuna.create_study(sampler=made[-1]).ask({"x": optuna.distributions.FloatDistribution(0.0, 1.0)})

    check_factory("hydra.sweeper.sampler", sampler, attempt)
    if not isinstance(made[-1], samplers.BaseSampler):
        raise SettingError(
            f"hydra.sweeper.sampler._target_={sampler['_target_']}: it is no sampler of Optuna's. Use "
            "optuna.samplers.TPESampler."
        )
    if isinstance(made[-1], samplers.QMCSampler | samplers.GridSampler | samplers.BruteForceSampler):
        raise SettingError(
            f"hydra.sweeper.sampler._target_={sampler['_target_']}: it goes through a fixed sequence. sweep=tune does "
            "so for ranges, a multirun (-m) for a grid; here use optuna.samplers.TPESampler."
        )


def distributions_of(space: Mapping[str, Mapping[str, Any]], optuna: Any) -> dict[str, Any]:
    """Optuna's distributions of a search space, see :mod:`finetune.runs.search_space`.

    Raises:
        SettingError: there is nothing to search, or a choice is no number, text, flag or null.
    """
    if not space:
        raise SettingError("space={}: there is nothing to search. Choose one, space=plain.")
    of = optuna.distributions
    found: dict[str, Any] = {}
    for key, dimension in space.items():
        if "choices" in dimension:
            for choice in dimension["choices"]:
                if not isinstance(choice, str | int | float | None):
                    raise SettingError(
                        f"space.{key}.choices: {format_value(choice)} is no number, text, flag or null, which is what "
                        "Optuna chooses from. sweep=tune takes anything."
                    )
            found[key] = of.CategoricalDistribution(dimension["choices"])
        elif dimension.get("whole", False):
            found[key] = of.IntDistribution(dimension["low"], dimension["high"], log=dimension.get("log", False))
        else:
            found[key] = of.FloatDistribution(dimension["low"], dimension["high"], log=dimension.get("log", False))
    return found


def settings_of_trial(params: Mapping[str, Any]) -> dict[str, Any]:
    """What a run is given: real numbers with four digits, as those of other searches."""
    return {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in params.items()}


def optuna_job(job: Sequence[str], number: int, settings: Mapping[str, Any]) -> list[str]:
    """Overrides of a trial's job.

    Args:
        job: overrides of the job of the multirun.
        number: of the trial.
        settings: of the trial.
    """
    values = ",".join(f"{key}:{value_text(value)}" for key, value in settings.items())
    own = {"search.trial": number, "search.settings": f"{{{values}}}"}
    kept = [override for override in job if override.partition("=")[0].lstrip("+") not in own]
    return [*kept, *(f"{key}={value}" for key, value in own.items())]


def value_text(value: Any) -> str:
    """A value as Hydra reads it."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return quoted(value) if isinstance(value, str) else str(value)
