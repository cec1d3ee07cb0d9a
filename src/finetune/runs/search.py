"""Random search: trials with settings drawn from a search space, and final runs with the chosen settings."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dbn.commands.configuration import resolve_config
from dbn.errors import DataError, SettingError
from dbn.random.streams import stream
from dbn.settings import (
    Check,
    check_flag,
    check_group,
    check_keys,
    check_number,
    check_table,
    check_text,
    optional,
    rename_hint,
    suggestion,
    within,
)

Space = Mapping[str, Mapping[str, Any]]
"""Dotted key to ``{low, high, log}`` (uniform, or uniform in the logarithm) or ``{choices: [...]}``."""

STREAMS = {"training.learning_rate": "optimizer.lr"}
"""Renamed keys that use the stream of their former name, so that trials are reproducible."""


def draw(space: Space, trial: int) -> dict[str, Any]:
    """Draw the settings of a trial, each key independently.

    A draw depends on the key and the number of the trial only, so that arms with the same search space try the same
    values.

    Args:
        space: the search space.
        trial: number of the trial, from 0.

    Raises:
        SettingError: an invalid range or list of choices.

    References:
        Bergstra & Bengio (2012), *Random search for hyper-parameter optimization*, JMLR 13:281.
    """
    check_number("search.trial", trial, low=0, whole=True)
    return {key: _draw_one(key, dimension, trial) for key, dimension in space.items()}


def _draw_one(key: str, dimension: Mapping[str, Any], trial: int) -> Any:
    where = f"space.{key}"
    name = STREAMS.get(key, key)
    u = torch.rand((), generator=stream(0, f"search {name}", trial), dtype=torch.float64).item()
    if "choices" in dimension:
        check_keys(where, dimension, ("choices",))
        choices = dimension["choices"]
        if not isinstance(choices, list) or not choices:
            raise SettingError(f"{where}.choices={choices!r}: give a list of values to choose from.")
        return choices[int(u * len(choices))]
    check_keys(where, dimension, ("low", "high", "log"))
    if not {"low", "high"} <= dimension.keys():
        raise SettingError(f"{where}={dict(dimension)}: give low and high, or choices.")
    logarithmic = dimension.get("log", False)
    check_flag(f"{where}.log", logarithmic)
    low = dimension["low"]
    check_number(f"{where}.low", low, low=0 if logarithmic else -math.inf, above=logarithmic)
    check_number(f"{where}.high", dimension["high"], low=low, above=True)
    value = low * (dimension["high"] / low) ** u if logarithmic else low + (dimension["high"] - low) * u
    return float(f"{value:.4g}")


def check_search(search: Any) -> None:
    """Check the group ``search``.

    Raises:
        SettingError: an invalid setting.
    """
    checks: dict[str, Check] = {
        "trial": optional(within(low=0, whole=True)),
        "chosen": optional(lambda key, value: check_text(key, value, what="a file")),
    }
    check_table("search", search, checks, needed=list(checks))


def check_space(space: Any) -> None:
    """Raise :class:`SettingError` unless every entry of the group ``space`` is valid."""
    check_group("space", space)
    for key, dimension in space.items():
        check_group(f"space.{key}", dimension)
        _draw_one(key, dimension, 0)


def searched(config: DictConfig, overrides: Sequence[str] = ()) -> DictConfig:
    """The configuration with the settings of ``search.trial`` or ``search.chosen``; unchanged if neither is given.

    Args:
        config: the composed configuration.
        overrides: overrides on the command line, which take precedence.

    Raises:
        SettingError: both are given; a key of the space is no setting; nothing was chosen for the arm.
        DataError: the file of chosen settings is missing or damaged.
    """
    check_group("search", config.get("search"))
    check_search(resolve_config(config.search))
    trial, chosen = config.search.trial, config.search.chosen
    if trial is None and chosen is None:
        return config
    if trial is not None and chosen is not None:
        raise SettingError(
            f"search.trial={trial} and search.chosen={chosen}: a run is a trial or takes a choice, not both."
        )
    if trial is not None:
        check_group("space", config.get("space"))
        settings = draw(OmegaConf.to_container(config.space, resolve=True), trial)  # type: ignore[arg-type]
    else:
        settings = read_chosen(Path(chosen), config.arm.name)
    overridden = {override.partition("=")[0].lstrip("+") for override in overrides}
    settings = {key: value for key, value in settings.items() if key not in overridden}
    config = config.copy()
    for key, value in settings.items():
        try:
            if OmegaConf.select(config, key, throw_on_missing=False) is None and not _has(config, key):
                raise SettingError(f"space.{key}: no such setting.{rename_hint(key)} --help shows all of them.")
            OmegaConf.update(config, key, value)
        except OmegaConfBaseException as error:
            raise SettingError(f"space.{key}={value!r}: {error}") from error
    config.searched = settings
    return config


def _has(config: DictConfig, key: str) -> bool:
    """Whether a dotted key exists, possibly with value None."""
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    return isinstance(node, DictConfig) and name in node


def read_chosen(file: Path, arm: str) -> dict[str, Any]:
    """The settings chosen for an arm, from ``chosen.json`` of a tuning study's report.

    Raises:
        DataError: the file is missing or damaged.
        SettingError: the file has no such arm.
    """
    if not file.is_file():
        raise DataError(
            f"search.chosen={file}: there is no such file. dbn-report runs/<study of sweep=tune> writes it."
        )
    try:
        arms = json.loads(file.read_text(encoding="utf-8"))
        settings = {name: dict(entry["settings"]) for name, entry in arms.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file} cannot be used ({error}). Write it anew: dbn-report {file.parent}") from error
    if arm not in settings:
        raise SettingError(
            f"search.chosen={file}: nothing was chosen for arm={arm}.{suggestion(arm, settings)} "
            f"It holds {', '.join(sorted(settings))}."
        )
    return settings[arm]
