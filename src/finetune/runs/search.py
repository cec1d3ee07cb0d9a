"""Random search: trials of an arm on its declared search space, and final runs with the setting that was chosen."""

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
"""Dotted key to ``{low, high, log}`` (a number, even on the scale or on its logarithm) or ``{choices: [...]}``."""


STREAMS = {"training.learning_rate": "optimizer.lr"}
"""Keys that draw from a stream of another name: the one that they had, so that a trial stays what it was."""


def draw(space: Space, trial: int) -> dict[str, Any]:
    """The settings of a trial: every key drawn by itself.

    A draw depends on the key and the number of the trial only. Arms that search the same range of the same key try the
    same values, so that none of them has luck that another one lacks.

    Args:
        space: what to draw from.
        trial: number of the trial, from 0.

    Raises:
        SettingError: a range or a list of choices that cannot be drawn from.

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
    return float(f"{value:.4g}")  # as a person would write it


def check_search(search: Any) -> None:
    """Check the group ``search``: what is asked for.

    Raises:
        SettingError: a setting has a value that cannot be used.
    """
    checks: dict[str, Check] = {
        "trial": optional(within(low=0, whole=True)),
        "chosen": optional(lambda key, value: check_text(key, value, what="a file")),
    }
    check_table("search", search, checks, needed=list(checks))


def check_space(space: Any) -> None:
    """Raise :class:`SettingError` unless something can be drawn from every dimension of the group ``space``."""
    check_group("space", space)
    for key, dimension in space.items():
        check_group(f"space.{key}", dimension)
        _draw_one(key, dimension, 0)


def searched(config: DictConfig, overrides: Sequence[str] = ()) -> DictConfig:
    """The configuration with the settings of its trial, or those chosen for its arm; itself where neither is asked for.

    Args:
        config: as Hydra has composed it.
        overrides: of the command line, which are kept.

    Raises:
        SettingError: both are asked for; a key of the space is no setting; nothing was chosen for the arm.
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
    said = {override.partition("=")[0].lstrip("+") for override in overrides}
    settings = {key: value for key, value in settings.items() if key not in said}
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
    """Whether a dotted key is there, be it null."""
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    return isinstance(node, DictConfig) and name in node


def read_chosen(file: Path, arm: str) -> dict[str, Any]:
    """The settings that a tuning study chose for an arm: ``chosen.json``, which the study's report writes.

    Raises:
        DataError: the file is missing or damaged.
        SettingError: it has no such arm.
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
