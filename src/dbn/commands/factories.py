"""Validation of settings that are passed to a library, such as an optimiser's, by using them before training."""

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Union

import hydra
from hydra.errors import HydraException
from hydra.utils import get_object

from dbn.errors import SettingError, UserError
from dbn.settings import LARGEST, check_flag, check_group, check_text, format_value, suggestion

REFUSALS = (TypeError, ValueError, OverflowError, ArithmeticError, RuntimeError)
"""Exceptions by which libraries refuse a value."""


def check_factory(group: str, settings: Any, attempt: Callable[[Any], Any], *, partial: bool = True) -> None:
    """Instantiate ``_target_`` with its settings and, if that fails, name the invalid setting.

    Args:
        group: dotted name of the group.
        settings: of the group: ``_target_``, ``_partial_``, and keyword arguments of the target.
        attempt: uses the instantiated object as training will.
        partial: the target receives further arguments later (``_partial_: true``).

    Raises:
        SettingError: the target does not exist, or refuses a setting.
    """
    check_group(group, settings)
    target = target_of(group, settings)
    if partial:
        check_flag(f"{group}._partial_", settings.get("_partial_", False))
        if not settings.get("_partial_", False):
            raise SettingError(f"{group}._partial_=false: it must be true, {target.__name__} gets more than settings.")
    given = {key: value for key, value in settings.items() if not key.startswith("_")}
    check_arguments(group, target, given)
    error = _refusal(settings, attempt)
    if error is None:
        return
    without = {
        key: _refusal({name: value for name, value in settings.items() if name != key}, attempt) for key in given
    }
    cleared = [key for key, left in without.items() if left is None]
    guilty = cleared or [key for key, left in without.items() if str(left) != str(error)]
    if guilty:  # several, where settings depend on each other
        named = ", ".join(f"{group}.{key}={format_value(given[key])}" for key in guilty)
        raise SettingError(f"{named}: {_sentence(error)}") from error
    raise SettingError(f"{group}: {_sentence(error)} See the settings of {group} with --help.") from error


def target_of(group: str, settings: Mapping[str, Any]) -> Any:
    """The object that ``_target_`` names.

    Raises:
        SettingError: it cannot be imported or is not callable.
    """
    name = settings.get("_target_")
    check_text(f"{group}._target_", name, what="the name of a class")
    try:
        target = get_object(str(name))
    except (ImportError, ValueError) as error:
        raise SettingError(
            f"{group}._target_={format_value(name)}: there is no such class in Python. {error}."
        ) from error
    if not callable(target):
        raise SettingError(f"{group}._target_={format_value(name)}: it is no class and no function.")
    return target


def check_arguments(group: str, target: Any, given: Mapping[str, Any]) -> None:
    """Check names and types of arguments against the target's signature.

    Raises:
        SettingError: an argument is unknown or has the wrong type.
    """
    known = inspect.signature(target).parameters
    hints = argument_types(target)
    anything = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values())
    for key, value in given.items():
        if key not in known and not anything:
            raise SettingError(
                f"{group}.{key}: no such setting of {target.__name__}.{suggestion(str(key), known)} "
                f"Known: {', '.join(sorted(known))}."
            )
        made = isinstance(value, Mapping) and "_target_" in value  # instantiated recursively
        if key in hints and not made and not fits(value, hints[key]):
            raise SettingError(f"{group}.{key}={format_value(value)}: it must be {_in_words(hints[key])}.")


def argument_types(target: Any) -> dict[str, Any]:
    """Annotated types of the arguments of a class or function; empty if annotations cannot be resolved."""
    try:
        return typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except (NameError, TypeError):
        return {}


def fits(value: Any, hint: Any) -> bool:
    """Whether a value from a configuration matches a type hint."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in arguments)
    if origin is Literal:
        return value in arguments
    if hint is type(None):
        return value is None
    if hint is bool:
        return isinstance(value, bool)
    if hint in (int, float):
        wanted = int if hint is int else (int, float)
        return isinstance(value, wanted) and not isinstance(value, bool) and abs(value) <= LARGEST
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return isinstance(value, Mapping)
    if inspect.isclass(origin) and issubclass(origin, Iterable):
        of = [argument for argument in arguments if argument is not Ellipsis] or [Any]
        return isinstance(value, list | tuple) and all(any(fits(item, one) for one in of) for item in value)
    return inspect.isclass(hint) and isinstance(value, hint)


def _in_words(hint: Any) -> str:
    """A type hint in words; types that a configuration cannot hold are left out."""
    words = {
        bool: "true or false",
        int: "a whole number",
        float: f"a number up to {LARGEST:.2g}",
        str: "text",
        type(None): "null",
    }
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        parts = [_in_words(one) for one in arguments]
        return " or ".join(dict.fromkeys(part for part in parts if part))
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return "a group"
    if inspect.isclass(origin) and issubclass(origin, Sequence | Iterable):
        return "a list"
    return words.get(hint, "")


def _refusal(settings: Mapping[str, Any], attempt: Callable[[Any], Any]) -> Exception | None:
    """The exception that instantiating and using the settings raises; None if they are valid."""
    try:
        attempt(hydra.utils.instantiate(settings))
    except UserError as error:
        raise error from None
    except HydraException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from error
        return error.__cause__ if isinstance(error.__cause__, Exception) else error
    except REFUSALS as error:
        return error
    return None


def _sentence(error: Exception) -> str:
    return f"{str(error).strip().splitlines()[0].rstrip('.')}." if str(error).strip() else f"{type(error).__name__}."
