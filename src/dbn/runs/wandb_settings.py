"""Validation of settings for Weights & Biases, and messages for its errors."""

import hashlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dbn.errors import SettingError, TrackingError
from dbn.settings import Check, check_choice, check_table, check_text, choice, format_value, optional

log = logging.getLogger(__name__)

MODES = ("online", "offline", "disabled", "shared")
MODE_VARIABLE = "WANDB_MODE"
LONGEST_NAME, LONGEST_TAG = 128, 64
"""Largest numbers of characters."""
FORBIDDEN_IN_PROJECT = "/\\#?%:"
ONLINE = ("online", "shared", "run")
"""Modes that upload while a run lasts."""
CLIENT: dict[str, Any] = {
    "silent": True,
    "x_disable_stats": True,  # its process outlives a killed job, and the machine's load is no result
    # A request every half minute instead of every quarter, as often as a run that logs nothing shows that it lives. An
    # epoch's metrics are one point, and points wait for each other in a request: what the service limits is the number
    # of requests, for each run and each project (docs.wandb.ai, rate limits).
    "x_file_stream_transmit_interval": 30.0,
    # Requests are repeated after 429, errors of the service and lost connections, with waits that double up to a
    # minute; those with points for a week (wandb/core/internal/filestream). So nothing is to be set while a run lasts;
    # but one that starts or ends waits only so long. SLURM's warning comes two minutes before a job is killed: by then
    # it must have ended to go back into the queue.
    "init_timeout": 60.0,
    "finish_timeout": 60.0,
    "finish_timeout_raises": True,
}
"""Settings of the client, see :func:`client_settings`."""

SILENT = re.compile("timed out|deadline exceeded|while retrying|not respond in time", re.IGNORECASE)
"""In the message of an error of a service that does not answer."""

OFFLINE = (
    "Without a network or an account, WANDB_MODE=offline (or logger.wandb.mode=offline) keeps everything on disk, for "
    "wandb sync later; logger=csv leaves Weights & Biases out."
)


def check_wandb(key: str, settings: Any) -> None:
    """Check ``logger.wandb`` and the environment variable ``WANDB_MODE``.

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
    """Raise :class:`SettingError` unless ``value`` is a valid name of a project or entity."""
    check_text(key, value, what="a name")
    if len(value) > LONGEST_NAME or set(value) & set(FORBIDDEN_IN_PROJECT):
        raise SettingError(
            f"{key}={format_value(value)}: Weights & Biases takes names of up to {LONGEST_NAME} letters without any of "
            f"{' '.join(FORBIDDEN_IN_PROJECT)}."
        )


def check_tags(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` is a tag or a list of tags."""
    for tag in tags_of(key, value):
        check_text(key, tag, what="a list of words")
        if len(tag) > LONGEST_TAG:
            raise SettingError(f"{key}: {format_value(tag)} has {len(tag)} letters. A tag has up to {LONGEST_TAG}.")


def tags_of(key: str, value: Any) -> list[Any]:
    """Tags as a list; a single text is one tag, and numbers are converted to text."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list | tuple):
        raise SettingError(f"{key}={format_value(value)}: it must be a list of words, such as {key}=[first,second].")
    return [str(tag) if isinstance(tag, int | float) and not isinstance(tag, bool) else tag for tag in value]


def short(text: str, letters: int) -> str:
    """``text`` shortened to ``letters`` characters, with a hash at the end if it is longer."""
    if len(text) <= letters:
        return text
    return f"{text[: letters - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def client_settings() -> dict[str, Any]:
    """Settings of the client, without those that have an environment variable (such as WANDB_INIT_TIMEOUT=5)."""
    return {name: value for name, value in CLIENT.items() if _variable(name) not in os.environ}


def patience() -> float:
    """Seconds that the start of a run waits for the service."""
    return float(os.environ.get(_variable("init_timeout"), CLIENT["init_timeout"]))


def _variable(setting: str) -> str:
    return f"WANDB_{setting.removeprefix('x').upper()}"


def is_online(settings: Mapping[str, Any]) -> bool:
    """Whether ``logger.wandb``, or else ``WANDB_MODE``, wants runs to be uploaded while they last."""
    return (settings.get("mode") or os.environ.get(MODE_VARIABLE) or "online") in ONLINE


def check_login(settings: Mapping[str, Any]) -> None:
    """Check the login, for runs that are opened only after training.

    Raises:
        TrackingError: there is no API key, or an invalid one. A service that does not answer may do so after training.
    """
    if is_online(settings):
        import wandb
        from wandb.errors import AuthenticationError

        with translated_errors(settings):
            try:
                wandb.login()
            except AuthenticationError as error:
                if not is_silence(error):
                    raise
                log.warning("Weights & Biases does not answer. It is asked again when training is over.")


@contextmanager
def translated_errors(settings: Mapping[str, Any]) -> Iterator[None]:
    """Convert errors of Weights & Biases to :class:`TrackingError` with advice.

    Args:
        settings: ``logger.wandb``.

    Raises:
        TrackingError: there is no API key, an invalid one, or no network; or a setting is refused.
    """
    from wandb.errors import AuthenticationError, CommError, Error

    try:
        yield
    except Error as error:
        said = _words(error)
        if isinstance(error, AuthenticationError):
            said = f"Weights & Biases does not take the key: {said} wandb login stores another one."
        elif isinstance(error, CommError):
            said = f"Weights & Biases {'does not answer' if is_silence(error) else 'refuses it'}: {said}"
        elif "API key" in said:
            said = "there is no key for Weights & Biases here. wandb login stores one, or set WANDB_API_KEY."
        raise TrackingError(f"logger=wandb: {said} {OFFLINE}") from error


def is_silence(error: Exception) -> bool:
    """Whether requests were repeated until the time was up; otherwise the service has said what is wrong."""
    return SILENT.search(str(error)) is not None


def _words(error: Exception) -> str:
    """The first line of the error's message, as a sentence."""
    return f"{str(error).strip().splitlines()[0].rstrip('.')}."
