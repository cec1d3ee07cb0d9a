"""Checks on settings where they enter: each names the key, the value and what would be accepted."""

import difflib
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from dbn.errors import SettingError

T = TypeVar("T")


def check_number(
    key: str, value: Any, *, low: float, high: float = float("inf"), whole: bool = False, above: bool = False,
    below: bool = False,
) -> None:  # fmt: skip
    """Raise unless ``value`` is a number within ``[low, high]``.

    Args:
        key: name of the setting, as a person writes it.
        value: what was given.
        low: smallest accepted value.
        high: largest accepted value.
        whole: accept whole numbers only.
        above: ``low`` itself is not accepted.
        below: ``high`` itself is not accepted.

    Raises:
        SettingError: it is not.
    """
    kind = "a whole number" if whole else "a number"
    accepted_type = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if accepted_type and (low < value if above else low <= value) and (value < high if below else value <= high):
        return
    limits = f"above {low:g}" if above else f"from {low:g}"
    if high != float("inf"):
        limits += f" and below {high:g}" if below else f" to {high:g}"
    raise SettingError(f"{key}={value!r}: it must be {kind} {limits}.")


def check_choice(key: str, value: Any, choices: Collection[str]) -> None:
    """Raise :class:`SettingError` unless ``value`` is one of ``choices``; the message names the nearest."""
    if value not in choices:
        raise SettingError(
            f"{key}={value!r}: no such choice.{near(str(value), choices)} Use one of {', '.join(sorted(choices))}."
        )


def check_keys(group: str, given: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise :class:`SettingError` if ``given`` has a key that is not ``known``; the message names the nearest."""
    for key in given:
        if key not in known:
            raise SettingError(f"{group}.{key}: no such setting.{near(key, known)} Known: {', '.join(sorted(known))}.")


def settings_of(group: str, kind: Callable[..., T], given: Mapping[str, Any]) -> T:
    """A settings dataclass from a group of the configuration.

    Raises:
        SettingError: the group has a key that is no field of it.
    """
    check_keys(group, given, [name for name in inspect.signature(kind).parameters if name != "self"])
    return kind(**given)


def calling(group: str, factory: Callable[..., T], *arguments: Any, **keywords: Any) -> T:
    """``factory(*arguments, **keywords)``, where the factory is a library's and its settings a person's.

    Raises:
        SettingError: the factory refuses them; the message names the group.
    """
    try:
        return factory(*arguments, **keywords)
    except (TypeError, ValueError) as error:
        raise SettingError(f"{group}: {error}. See the settings of {group} with --help.") from error


def near(word: str, choices: Collection[str]) -> str:
    """A half-sentence that names up to three near matches, or nothing."""
    matches = difflib.get_close_matches(word, sorted(set(choices)), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(matches)}?" if matches else ""
