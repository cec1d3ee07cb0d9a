"""Checks of settings that the commands share which apply a trained model. None of them needs torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dbn.errors import SettingError
from dbn.settings import check_flag, check_group, check_text, choice, format_value, optional

SPLIT_CHOICES = ("all", "train", "validation", "test")
DEVICES = ("auto", "cpu", "cuda")


def check_shared(settings: Mapping[str, Any], suffixes: Sequence[str]) -> None:
    """Check ``split``, ``output``, ``overwrite``, ``device`` and ``progress``.

    Args:
        settings: of the command.
        suffixes: of the files that it can write.

    Raises:
        SettingError: an invalid value.
    """
    choice(*SPLIT_CHOICES)("split", settings["split"])
    choice(*DEVICES)("device", settings["device"])
    check_flag("overwrite", settings["overwrite"])
    check_flag("progress", settings["progress"])
    check_text("output", settings["output"], what="a file")
    if Path(settings["output"]).suffix not in suffixes:
        raise SettingError(f"output={settings['output']}: the name must end in {' or '.join(suffixes)}.")


def check_model(settings: Mapping[str, Any], first: str, second: str) -> None:
    """Check that exactly one of two settings names a trained model.

    Raises:
        SettingError: none or both do, or one is no text.
    """
    values = {key: value_of(settings, key) for key in (first, second)}
    for key, value in values.items():
        optional(lambda key, value: check_text(key, value, what="a file or a run's directory"))(key, value)
    given = [f"{key}={value}" for key, value in values.items() if value is not None]
    if len(given) != 1:
        said = f"{' and '.join(given)} are given" if given else "neither is given"
        raise SettingError(f"{first}=... or {second}=...: {said}. Give one of them.")


def check_named(settings: Mapping[str, Any], group: str, key: str) -> None:
    """Check that a group holds one key.

    Raises:
        SettingError: it is no group, or holds others.
    """
    check_group(group, settings[group])
    if set(settings[group]) != {key}:
        raise SettingError(f"{group}={format_value(dict(settings[group]))}: it has the key {key} only.")


def value_of(settings: Mapping[str, Any], key: str) -> Any:
    """Value of a dotted key."""
    group, _, name = key.rpartition(".")
    return settings[group][name] if group else settings[name]


def check_output(settings: Mapping[str, Any], key: str = "output") -> Path:
    """The file to write, which the setting ``key`` names.

    Raises:
        SettingError: it exists, and ``overwrite`` is false; or it is a folder.
    """
    path = Path(settings[key]).expanduser()
    if path.is_dir():
        raise SettingError(f"{key}={path}: this is a folder. Give the name of a file.")
    if path.exists() and not settings["overwrite"]:
        raise SettingError(f"{key}={path}: this file exists. Give another name, or overwrite=true to replace it.")
    return path
