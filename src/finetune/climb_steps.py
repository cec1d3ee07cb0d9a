"""The steps of a climb in compute: lengths of training, and the overrides of a step's trials and runs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from dbn.commands.configuration import resolve_config
from dbn.errors import SettingError
from dbn.settings import check_flag, check_list, check_number
from finetune.rungs import is_search_by

SWEEPER = "ComputeClimb"
RATE, DECAY = "training.learning_rate", "optimizer.weight_decay"
FINEST_DECAY = 1e-5
"""Weight decay that is tried where the factors have none to multiply."""


@dataclass(frozen=True)
class Climb:
    """Settings of ``hydra/sweeper=compute_climb``.

    Attributes:
        times: multiples of an arm's epochs, ascending: the steps.
        pretraining: whether those of its pretraining are multiplied as well.
        rates: factors that the learning rate of the step before is tried with; with the best of them, then the decays.
        decays: factors for the weight decay; one of 0 becomes 0.00001 times the factor.
        widen: so many trials more at most, for the learning rate and for the weight decay each, while the best value is
            the largest or the smallest of those tried: one factor beyond it.
        n_tuning_seeds: seeds of a trial, from ``tuning_seed`` up; the seeds that are reported are others.
        tuning_seed: the first of them.
        gain: an arm is not trained longer if a step lowers its error by less.
        cut: an arm is not trained longer if its error exceeds that of the best arm of its side on the same step by this
            fraction, from the second step on; None: no arm is.
    """

    times: tuple[int, ...]
    pretraining: bool
    rates: tuple[float, ...]
    decays: tuple[float, ...]
    widen: int
    n_tuning_seeds: int
    tuning_seed: int
    gain: float
    cut: float | None

    def __post_init__(self) -> None:
        for name in ("times", "rates", "decays"):
            values = list(getattr(self, name))
            check_list(f"hydra.sweeper.{name}", values)
            for value in values:
                check_number(f"hydra.sweeper.{name}", value, low=0, above=True, whole=name == "times")
        if not self.times or list(self.times) != sorted(set(self.times)):
            raise SettingError(f"hydra.sweeper.times={list(self.times)}: give multiples of the epochs, ascending.")
        check_flag("hydra.sweeper.pretraining", self.pretraining)
        check_number("hydra.sweeper.widen", self.widen, low=0, whole=True)
        check_number("hydra.sweeper.n_tuning_seeds", self.n_tuning_seeds, low=1, whole=True)
        check_number("hydra.sweeper.tuning_seed", self.tuning_seed, low=0, whole=True)
        check_number("hydra.sweeper.gain", self.gain, low=-1, high=1)
        if self.cut is not None:
            check_number("hydra.sweeper.cut", self.cut, low=0, above=True)

    def candidates(self, key: str, settings: Mapping[str, float]) -> dict[int, dict[str, float]]:
        """Settings to try for ``key``, by the number of their trial.

        For the learning rate these are the settings as they are, 0, and with each factor; for the weight decay with
        each factor only, since the settings as they are have been tried with the learning rates.
        """
        first, factors = (0, (1.0, *self.rates)) if key == RATE else (len(self.rates) + 1, self.decays)
        base = FINEST_DECAY if key == DECAY and settings[key] == 0 else settings[key]
        return {
            first + number: {**settings, key: float(f"{base * factor:.4g}")} for number, factor in enumerate(factors)
        }

    def beyond(
        self, key: str, number: int, settings: Mapping[str, float], tried: Collection[float]
    ) -> dict[int, dict[str, float]]:
        """Settings one factor beyond those tried for ``key``, by the number of their trial; none within their range.

        Args:
            key: learning rate or weight decay.
            number: of such trials for this key before, on this step.
            settings: the best so far.
            tried: values of ``key`` on this step, those whose trials failed among them.
        """
        factors = self.rates if key == RATE else self.decays
        value, most, least = settings[key], max(factors, default=1), min(factors, default=1)
        is_finest = key == DECAY and value <= FINEST_DECAY  # as good as none
        if value == max(tried) and most > 1 and value:
            value *= most
        elif value == min(tried) and least < 1 and not is_finest:
            value *= least
        else:
            return {}
        first = 1 + len(self.rates) + len(self.decays) + (self.widen if key == DECAY else 0)
        return {first + number: {**settings, key: float(f"{value:.4g}")}}


def climb_of(config: DictConfig) -> Climb | None:
    """The settings of a climb of a multirun; None if it has another sweeper, or says which trials to run.

    Raises:
        SettingError: an invalid setting.
    """
    if not is_search_by(SWEEPER, config):
        return None
    values: dict[str, Any] = {name: config.hydra.sweeper[name] for name in Climb.__dataclass_fields__}
    return Climb(**{**values, **{name: tuple(values[name]) for name in ("times", "rates", "decays")}})


def step_job(
    job: Sequence[str], config: DictConfig, times: int, settings: Mapping[str, float], trial: int | None, options: Climb
) -> list[str]:
    """Overrides of a step's runs, or of one of its trials.

    What is counted in epochs is stretched alike: validations, epochs of the output layer alone, pretraining if wanted.

    Args:
        job: overrides of the job of the multirun.
        config: its configuration.
        times: how often the epochs are multiplied.
        settings: learning rate and weight decay.
        trial: number of the trial; None for the runs that are reported.
        options: of the climb.
    """
    training = config.training
    values = ",".join(f"{key}:{value:.4g}" for key, value in settings.items())
    own: dict[str, Any] = {"training.epochs": times * training.epochs, "search.settings": f"{{{values}}}"}
    own["training.validate_every"] = times * training.validate_every
    if training.head_epochs:
        own["training.head_epochs"] = times * training.head_epochs
    if options.pretraining:
        own |= pretraining_epochs(config, times)
    if trial is not None:
        own |= {"search.trial": trial, "base_name": f"{config.arm.name}_trial{trial}"}
        own |= {"seed": options.tuning_seed, "n_parallel_seeds": options.n_tuning_seeds}
    replaced = own.keys() | settings.keys()  # an override would take precedence over search.settings
    kept = [override for override in job if override.partition("=")[0].lstrip("+") not in replaced]
    return [*kept, *(f"{key}={value}" for key, value in own.items())]


def pretraining_epochs(config: DictConfig, times: int) -> dict[str, int]:
    """Epochs of pretraining ``times`` as many as a configuration's, by their keys; arms without a stack ignore them.

    Raises:
        SettingError: epochs of a layer's own, or epochs at which something changes, which are not multiplied.
    """
    kept = "Give hydra.sweeper.pretraining=false: pretraining then stays as it is."
    for number, layer in enumerate(config.stack.layers):
        if OmegaConf.is_dict(layer) and "epochs" in layer:
            raise SettingError(
                f"stack.layers: layer {number + 1} has epochs={layer.epochs} of its own, and sweep=compute multiplies "
                f"those of all layers, stack.every_layer.epochs. {kept}"
            )
    own = {"stack.every_layer.epochs": times * config.stack.every_layer.epochs}
    if "epochs" in config.method:
        if OmegaConf.is_dict(config.method.get("steps")):
            raise SettingError(
                f"method.steps={config.method.steps}: they change at certain epochs, which sweep=compute does not "
                f"multiply. {kept}"
            )
        own["method.epochs"] = times * config.method.epochs
    return own


def first_trials(job: Sequence[str], config: DictConfig, options: Climb) -> list[list[str]]:
    """Overrides of the first trials of a job of the multirun."""
    trials = options.candidates(RATE, starting_settings(config))
    return [step_job(job, config, options.times[0], own, number, options) for number, own in trials.items()]


def starting_settings(config: DictConfig) -> dict[str, float]:
    """Learning rate and weight decay of a configuration, those of ``search.chosen`` where it is given."""
    from finetune.runs.search import searched  # here: scipy and torch, which --help and a wrong key have no use for

    own = searched(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))
    settings = resolve_config(own)
    return {RATE: settings["training"]["learning_rate"], DECAY: settings["optimizer"]["weight_decay"]}
