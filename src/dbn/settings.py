"""Validation of settings; each error message names the key, the value and the accepted values."""

import difflib
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from dbn.errors import SettingError

T = TypeVar("T")
Check = Callable[[str, Any], None]
"""``check(key, value)`` raises :class:`SettingError` unless ``value`` is valid; ``key`` is the setting's full name."""

LARGEST = 2.0**63
"""Largest accepted number: torch does not take larger ones."""
LONGEST = 80
"""Characters of a value that a message shows."""


def check_number(
    key: str, value: Any, *, low: float, high: float = float("inf"), whole: bool = False, above: bool = False,
    below: bool = False,
) -> None:  # fmt: skip
    """Raise unless ``value`` is a number within ``[low, high]``.

    Args:
        key: dotted name of the setting.
        value: the value to check.
        low: smallest accepted value.
        high: largest accepted value.
        whole: accept whole numbers only.
        above: exclude ``low`` itself.
        below: exclude ``high`` itself.

    Raises:
        SettingError: ``value`` is not accepted.
    """
    kind = "a whole number" if whole else "a number"
    accepted_type = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if high == float("inf") and accepted_type and abs(value) > LARGEST:
        high = LARGEST
    if accepted_type and (low < value if above else low <= value) and (value < high if below else value <= high):
        return
    limits = f"above {low:g}" if above else f"from {low:g}"
    if high != float("inf"):
        limits += f" and below {high:g}" if below else f" to {high:g}"
    raise SettingError(f"{key}={format_value(value)}: it must be {kind} {limits}.")


def check_choice(key: str, value: Any, choices: Collection[str]) -> None:
    """Raise :class:`SettingError` unless ``value`` is one of ``choices``; the message names the nearest."""
    if not isinstance(value, str) or value not in choices:
        raise SettingError(
            f"{key}={format_value(value)}: no such choice.{suggestion(str(value), choices)} "
            f"Use one of {', '.join(sorted(choices))}."
        )


def check_flag(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` is true or false."""
    if not isinstance(value, bool):
        raise SettingError(f"{key}={format_value(value)}: it must be true or false.")


def check_text(key: str, value: Any, *, what: str = "text") -> None:
    """Raise :class:`SettingError` unless ``value`` is non-empty text; ``what`` describes it in the message."""
    if not isinstance(value, str) or not value.strip():
        raise SettingError(f"{key}={format_value(value)}: it must be {what}, such as {key}=abc.")


def check_list(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` is a list; the message shows how one is written."""
    if not isinstance(value, list | tuple):
        example = value if isinstance(value, str | int | float) and value != "" else "a,b"
        raise SettingError(f"{key}={format_value(value)}: it must be a list, which is written {key}=[{example}].")


def check_group(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` is a group of settings."""
    if not isinstance(value, Mapping):
        raise SettingError(
            f"{key}={format_value(value)}: it must be a group of settings, written {key}={{name:value}}."
        )


def optional(check: Check) -> Check:
    """A check that accepts None, too."""

    def passes(key: str, value: Any) -> None:
        if value is not None:
            try:
                check(key, value)
            except SettingError as error:
                if not str(error).startswith(f"{key}="):  # the error concerns a nested setting
                    raise
                raise SettingError(f"{str(error).removesuffix('.')}, or null.") from error

    return passes


def within(**limits: Any) -> Check:
    """:func:`check_number` with fixed limits."""
    return lambda key, value: check_number(key, value, **limits)


def choice(*choices: str) -> Check:
    """:func:`check_choice` with fixed choices."""
    return lambda key, value: check_choice(key, value, choices)


def check_table(
    group: str, given: Any, checks: Mapping[str, Check], *, needed: Collection[str] = (), others: Collection[str] = ()
) -> None:
    """Check the settings of a group one by one.

    Args:
        group: dotted name of the group.
        given: settings of the group.
        checks: a check for each allowed setting.
        needed: required settings.
        others: further allowed settings, which are checked elsewhere.

    Raises:
        SettingError: a setting is invalid, unknown, or missing.
    """
    check_group(group, given)
    check_keys(group, given, {*checks, *others})
    for key in needed:
        if key not in given:
            raise SettingError(f"{group}.{key}: this setting is missing. Give it a value: {group}.{key}=...")
    for key, check in checks.items():
        if key in given:
            check(f"{group}.{key}", given[key])


def format_value(value: Any) -> str:
    """A value in YAML's notation, shortened to :data:`LONGEST` characters."""
    words = {None: "null", True: "true", False: "false"}
    text = words[value] if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


RENAMED = {
    "stack.every_layer.steps": "sampler.steps",
    "stack.upper_layers.steps": "sampler.steps",
    "stack.layers.steps": "sampler.steps",
    "stack.optimizer.lr": "stack.every_layer.learning_rate",
    "optimizer.lr": "training.learning_rate",
    "arm.sgd_lr": "training.learning_rate",
    "lr": "training.learning_rate",
}
"""Keys of earlier versions, with their current names."""


def check_keys(group: str, given: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise :class:`SettingError` if ``given`` has a key that is not ``known``; the message names the nearest."""
    for key in given:
        if key not in known:
            full = f"{group}.{key}"
            use = rename_hint(full) or suggestion(str(key), known)
            raise SettingError(f"{full}: no such setting.{use} Known: {', '.join(sorted(known))}.")


def rename_hint(key: str) -> str:
    """`` Use <new key>.`` for a key of earlier versions; otherwise empty."""
    return f" Use {RENAMED[key]}." if key in RENAMED else ""


def settings_of(group: str, kind: Callable[..., T], given: Mapping[str, Any]) -> T:
    """Build a settings dataclass from a group of the configuration.

    Raises:
        SettingError: ``given`` is no group, has an unknown key, or lacks a required one.
    """
    check_group(group, given)
    fields = inspect.signature(kind).parameters
    check_keys(group, given, fields)
    for name, field in fields.items():
        if field.default is inspect.Parameter.empty and name not in given:
            raise SettingError(f"{group}.{name}: this setting is missing. Give it a value: {group}.{name}=...")
    return kind(**given)


def call_factory(group: str, factory: Callable[..., T], *arguments: Any, **keywords: Any) -> T:
    """Call ``factory(*arguments, **keywords)`` and report its errors as errors of the settings in ``group``.

    Raises:
        SettingError: the factory raises TypeError, ValueError or ArithmeticError.
    """
    try:
        return factory(*arguments, **keywords)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise SettingError(f"{group}: {error}. See the settings of {group} with --help.") from error


def suggestion(word: str, choices: Collection[str]) -> str:
    """`` Did you mean ...?`` with up to three close matches; empty if there are none."""
    matches = difflib.get_close_matches(word, sorted(set(choices)), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(matches)}?" if matches else ""
