"""The settings of a run in a search: those of a trial, or those that were chosen."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dbn.commands.configuration import resolve_config
from dbn.errors import DataError, SettingError
from dbn.runs.naming import label_count
from dbn.settings import (
    Check,
    check_group,
    check_list,
    check_table,
    check_text,
    optional,
    rename_hint,
    suggestion,
    within,
)
from finetune.runs.search_space import LARGEST_TRIAL, draw


def check_search(search: Any) -> None:
    """Check the group ``search``.

    Raises:
        SettingError: an invalid setting.
    """
    checks: dict[str, Check] = {
        "trial": optional(within(low=0, high=LARGEST_TRIAL, whole=True)),
        "rung": optional(within(low=0, whole=True)),
        "above": optional(check_keys_to_widen),
        "below": optional(check_keys_to_widen),
        "chosen": optional(lambda key, value: check_text(key, value, what="a file")),
        "settings": optional(check_group),
        "pruner": optional(check_group),
    }
    check_table("search", search, checks, needed=list(checks))


def check_keys_to_widen(where: str, keys: Any) -> None:
    """Raise :class:`SettingError` unless ``keys`` is a list of keys."""
    check_list(where, keys)
    for key in keys:
        check_text(where, key, what="a list of keys of space")


def searched(config: DictConfig, overrides: Sequence[str] = ()) -> DictConfig:
    """The configuration with the settings of ``search.trial``, ``search.chosen`` or ``search.settings``, if given.

    Those of ``search.settings`` are a trial's instead of drawn ones, and are put on top of chosen ones.

    Args:
        config: the composed configuration.
        overrides: overrides on the command line, which take precedence.

    Raises:
        SettingError: a trial takes a choice; a key is no setting; nothing was chosen for the arm.
        DataError: the file of chosen settings is missing or damaged.
    """
    check_group("search", config.get("search"))
    check_search(resolve_config(config.search))
    trial, chosen, given = config.search.trial, config.search.chosen, config.search.settings
    if trial is None and chosen is None and given is None:
        return config
    if trial is not None and chosen is not None and given is None:
        raise SettingError(
            f"search.trial={trial} and search.chosen={chosen}: a run is a trial or takes a choice, not both."
        )
    settings: dict[str, Any] = {}
    if chosen is not None:
        settings = read_chosen(Path(chosen), config.data.name, config.arm.name, label_count(config.data.n_labelled))
    elif given is None:
        check_group("space", config.get("space"))
        settings = draw(
            OmegaConf.to_container(config.space, resolve=True),  # type: ignore[arg-type]
            trial, arm=config.arm.name, labels=label_count(config.data.n_labelled),
            above=config.search.above or (), below=config.search.below or (),
        )  # fmt: skip
    if given is not None:
        settings |= resolve_config(given)
    overridden = {override.partition("=")[0].lstrip("+") for override in overrides}
    settings = {key: value for key, value in settings.items() if key not in overridden}
    config, where = config.copy(), "space" if given is None else "search.settings"
    for key, value in settings.items():
        try:
            if OmegaConf.select(config, key, throw_on_missing=False) is None and not _has(config, key):
                raise SettingError(f"{where}.{key}: no such setting.{rename_hint(key)} --help shows all of them.")
            check_has_effect(config, key, where)
            OmegaConf.update(config, key, value)
        except OmegaConfBaseException as error:
            raise SettingError(f"{where}.{key}={value!r}: {error}") from error
    config.searched = settings
    return config


def check_has_effect(config: DictConfig, key: str, where: str) -> None:
    """Refuse a setting of every layer that each layer has of its own: all trials would be the same one.

    Raises:
        SettingError: it has no effect.
    """
    group, _, name = key.rpartition(".")
    layers = OmegaConf.select(config, "stack.layers")
    if group != "stack.every_layer" or not isinstance(layers, ListConfig) or not layers:
        return
    if all(isinstance(layer, DictConfig) and name in layer for layer in layers):
        raise SettingError(
            f"{where}.{key}: each of stack.layers has a {name} of its own, which precedes it, so that all values train "
            f"the same stack. Leave {name} out of a layer at least, or search something else: stack_space=none."
        )


def _has(config: DictConfig, key: str) -> bool:
    """Whether a dotted key exists, possibly with value None."""
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    return isinstance(node, DictConfig) and name in node


def read_chosen(file: Path, data: str, arm: str, labels: str) -> dict[str, Any]:
    """The settings chosen for an arm, from ``chosen.json`` of a tuning study's report.

    Args:
        file: content ``{data: {labels: {arm: {"settings": {...}, ...}}}}``.
        data: name of the data set.
        arm: name of the arm.
        labels: number of labels in words, see :func:`dbn.runs.naming.label_count`.

    Raises:
        DataError: the file is missing or damaged.
        SettingError: nothing was chosen for the arm on these data with as many labels.
    """
    if not file.is_file():
        raise DataError(
            f"search.chosen={file}: there is no such file. dbn-report runs/<study of sweep=tune> writes it."
        )
    try:
        chosen = {
            (str(name), str(number), str(own)): dict(entry["settings"])
            for name, numbers in json.loads(file.read_text(encoding="utf-8")).items()
            for number, arms in numbers.items()
            for own, entry in arms.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file} cannot be used ({error}). Write it anew: dbn-report {file.parent}") from error
    if (data, labels, arm) in chosen:
        return chosen[data, labels, arm]
    here = sorted({own for name, number, own in chosen if (name, number) == (data, labels)})
    if here:
        raise SettingError(
            f"search.chosen={file}: nothing was chosen for arm={arm}.{suggestion(arm, here)} "
            f"It holds {', '.join(here)}."
        )
    held = sorted({f"{name} with {number}" for name, number, _ in chosen})
    raise SettingError(
        f"search.chosen={file}: nothing was chosen for data={data} with data.n_labelled={labels}. It holds "
        f"{', '.join(held)}: tune with as many labels first, dbn-finetune sweep=tune data.n_labelled=..."
    )
