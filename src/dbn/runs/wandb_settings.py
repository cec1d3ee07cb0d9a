"""What Weights & Biases takes and what it refuses, said before training with the cure."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dbn.errors import SettingError, TrackingError
from dbn.settings import Check, check_choice, check_table, check_text, choice, format_value, optional

MODES = ("online", "offline", "disabled", "shared")
MODE_VARIABLE = "WANDB_MODE"
LONGEST_NAME, LONGEST_TAG = 128, 64
"""Letters."""
FORBIDDEN_IN_PROJECT = "/\\#?%:"

OFFLINE = (
    "Without a network or an account, WANDB_MODE=offline (or logger.wandb.mode=offline) keeps everything on disk, for "
    "wandb sync later; logger=csv leaves Weights & Biases out."
)


def check_wandb(key: str, settings: Any) -> None:
    """Check ``logger.wandb``, and the mode that the environment gives.

    Raises:
        SettingError: a setting that Weights & Biases would refuse.
    """
    checks: dict[str, Check] = {
        "project": check_project,
        "entity": optional(check_project),
        "tags": check_tags,
        "mode": optional(choice(*MODES)),
    }
    check_table(key, settings, checks)
    if settings.get("mode") is None and os.environ.get(MODE_VARIABLE):
        check_choice(MODE_VARIABLE, os.environ[MODE_VARIABLE], (*MODES, "dryrun", "run"))


def check_project(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless a project or entity can be called so."""
    check_text(key, value, what="a name")
    if len(value) > LONGEST_NAME or set(value) & set(FORBIDDEN_IN_PROJECT):
        raise SettingError(
            f"{key}={format_value(value)}: Weights & Biases takes names of up to {LONGEST_NAME} letters without any of "
            f"{' '.join(FORBIDDEN_IN_PROJECT)}."
        )


def check_tags(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless they are tags, or one tag."""
    for tag in tags_of(key, value):
        check_text(key, tag, what="a list of words")
        if len(tag) > LONGEST_TAG:
            raise SettingError(f"{key}: {format_value(tag)} has {len(tag)} letters. A tag has up to {LONGEST_TAG}.")


def tags_of(key: str, value: Any) -> list[Any]:
    """Tags as a list of words; one word is one tag, and a number that is one, too."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list | tuple):
        raise SettingError(f"{key}={format_value(value)}: it must be a list of words, such as {key}=[first,second].")
    return [str(tag) if isinstance(tag, int | float) and not isinstance(tag, bool) else tag for tag in value]


def short(text: str, letters: int) -> str:
    """``text`` in so many letters at most: a longer one keeps its beginning, and its hash keeps it apart."""
    if len(text) <= letters:
        return text
    mark = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{text[: letters - len(mark) - 1]}-{mark}"


def check_login(settings: Mapping[str, Any]) -> None:
    """Where runs are opened only after their training: see now that they can be.

    Raises:
        TrackingError: there is no key, a wrong one, or no network.
    """
    if (settings.get("mode") or os.environ.get(MODE_VARIABLE) or "online") in ("online", "shared", "run"):
        import wandb

        with translated_errors(settings):
            wandb.login()


@contextmanager
def translated_errors(settings: Mapping[str, Any]) -> Iterator[None]:
    """Errors of Weights & Biases as ones that say what to do.

    Args:
        settings: ``logger.wandb``.

    Raises:
        TrackingError: it has no key, or a wrong one; there is no network; or it refuses something.
    """
    from wandb.errors import AuthenticationError, CommError, Error

    try:
        yield
    except Error as error:
        said = _words(error)
        if isinstance(error, AuthenticationError):
            said = f"Weights & Biases does not take the key: {said} wandb login stores another one."
        elif isinstance(error, CommError):
            said = f"Weights & Biases does not answer: {said}"
        elif "API key" in said:
            said = "there is no key for Weights & Biases here. wandb login stores one, or set WANDB_API_KEY."
        raise TrackingError(f"logger=wandb: {said} {OFFLINE}") from error


def _words(error: Exception) -> str:
    """The first line of what it says, as a sentence."""
    return f"{str(error).strip().splitlines()[0].rstrip('.')}."
