"""The objective: which numbers of a run a sweeper minimises, and their values.

Hydra's sweepers for Optuna, Nevergrad and Ax minimise what the command returns for a job.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from omegaconf import OmegaConf

from dbn.errors import SettingError
from dbn.settings import check_list, check_text, format_value, suggestion

QUANTITY = {"classifier": "error", "autoencoder": "squared_error", "regression": "rmse"}
"""What the networks of a task are judged by, where nothing else is asked for."""
MORE_IS_BETTER = {"accuracy": "error", "r2": "rmse"}
"""Quantities of which more is better, and one of which less is, in their place."""
QUANTITIES: dict[str, dict[str, str | None]] = {
    "classifier": {
        "error": None, "balanced_error": None, "nll": "cross_entropy", "calibration_error": "cross_entropy",
        "squared_loss": "squared",
    },
    "autoencoder": {"squared_error": None, "cross_entropy": None},
    "regression": {"rmse": None, "mae": None},
}  # fmt: skip
"""Metrics of each task of which less is better, with the loss that they need; None: any."""
COSTS = ("operations", "n_parameters")
"""What a run costs, beside metrics: all floating-point operations, pretraining included; weights and biases."""


def tuning_metric(task: str) -> str:
    """The validation metric that chooses among the trials of a task, where ``objective`` names none."""
    return f"validation/{QUANTITY.get(task, 'error')}"


def objectives_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """What a configuration asks to minimise: ``objective``, or the task's own metric where that is null."""
    given = config.get("objective")
    if given is None:
        return (tuning_metric(config["task"]["name"]),)
    return (given,) if isinstance(given, str) else tuple(given)


def objective_of(config: Mapping[str, Any]) -> str:
    """The only objective, for a search that chooses by one.

    Raises:
        SettingError: there are several.
    """
    objectives = objectives_of(config)
    if len(objectives) > 1:
        raise SettingError(
            f"objective={format_value(list(objectives))}: this search chooses by one. Give one of them, or use "
            "sweep=optuna with search.pruner=null, which takes several."
        )
    return objectives[0]


def check_objective(config: Mapping[str, Any]) -> None:
    """Check ``objective`` of a configuration.

    Raises:
        SettingError: it names no metric of the task, or one that a search must not see.
    """
    given = config.get("objective")
    if given is None:
        return
    if OmegaConf.is_list(given):
        given = list(given)
    if not isinstance(given, str):
        check_list("objective", given)
        if not given:
            raise SettingError("objective=[]: name a metric, objective=validation/error, or leave it at null.")
    for name in objectives_of(config):
        check_text("objective", name, what="a metric or a list of them")
    if len(set(objectives_of(config))) < len(objectives_of(config)):
        raise SettingError(f"objective={format_value(given)}: the same twice. Name each once.")
    task, loss = config["task"]["name"], config["training"]["loss"]
    possible = [f"validation/{name}" for name, needed in QUANTITIES[task].items() if needed in (None, loss)]
    for number, name in enumerate(objectives_of(config)):
        split, _, quantity = name.rpartition("/")
        if quantity in MORE_IS_BETTER:
            raise SettingError(
                f"objective={name}: it is minimised, and more of it is better. Use {split}/{MORE_IS_BETTER[quantity]}."
            )
        if split == "test":
            raise SettingError(
                f"objective={name}: what is chosen by test images cannot be judged by them. Use validation/{quantity}."
            )
        if name in COSTS and number == 0:
            raise SettingError(
                f"objective={format_value(given)}: the first must be a metric, by which the report chooses. Use "
                f"objective=[{tuning_metric(task)},{name}]."
            )
        if name not in (*possible, *COSTS):
            raise SettingError(
                f"objective={name}: no such metric of task={task} with training.loss={loss}."
                f"{suggestion(name, [*possible, *COSTS])} Choose from {', '.join([*possible, *COSTS])}."
            )
    if config["data"].get("validation") == 0:
        raise SettingError(
            f"objective={format_value(given)}, data.validation=0: there are no validation images. Hold some out, "
            "data.validation=0.2."
        )


def objective_values(results: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> list[float] | None:
    """Values of the objectives, each the mean over seeds that trained together.

    Args:
        results: content of ``result.json`` of each seed.
        config: of the job.

    Returns:
        The values; infinity for one that is not finite. None if there are no results, as with ``pretrain_only``, or if
        ``objective`` is null and there are no validation images.

    Raises:
        SettingError: the runs have no such metric.
    """
    if not results:
        return None
    values = []
    for name in objectives_of(config):
        own = [value_of(result, name) for result in results]
        found = [value for value in own if value is not None]
        if len(found) < len(own):
            if config.get("objective") is None:
                return None
            present = sorted(key for key in results[0].get("metrics", {}) if key.startswith("validation/"))
            raise SettingError(
                f"objective={name}: the run has no such metric. It has {', '.join(present) or 'no validation images'}."
            )
        mean = fmean(found)
        values.append(mean if math.isfinite(mean) else math.inf)
    return values


def value_of(result: Mapping[str, Any], name: str) -> float | None:
    """Value of an objective in the content of a ``result.json``; None if it is not there."""
    if name == "operations":
        return float(sum(result["flops"].values()))
    value = result.get(name) if name in COSTS else result.get("metrics", {}).get(name)
    return None if value is None else float(value)


def returned(values: Sequence[float] | None) -> float | list[float] | None:
    """What the command returns to Hydra: a number, or a list for several objectives."""
    return None if values is None else values[0] if len(values) == 1 else list(values)
