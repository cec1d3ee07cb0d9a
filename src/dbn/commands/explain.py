"""What to say in place of a traceback where a person made the mistake, in Hydra's words or the disk's."""

import errno
import re
import shlex
from collections.abc import Sequence

from hydra.errors import (
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
    SearchPathException,
)
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException, UnsupportedInterpolationType

from dbn.commands.configuration import known_keys
from dbn.commands.texts import quoted
from dbn.errors import UserError
from dbn.settings import near, renamed

_FULL = "Make room: files that were there are as they were, and the same command goes on from the last checkpoint."
_READ_ONLY = "Choose a folder that can be written to: paths.runs=..."
_NO_FOLDER = "There is a file where a folder should be. Choose another folder: paths.runs=..."
_TOO_LONG = "Give the run a shorter name: name=..., or study=..."
DISK_ERRORS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _READ_ONLY,
    errno.EPERM: _READ_ONLY,
    errno.ENOTDIR: _NO_FOLDER,
    errno.EEXIST: _NO_FOLDER,
    errno.ENAMETOOLONG: _TOO_LONG,
}


OPEN_GROUPS = ("optimizer.", "stack.optimizer.", "schedule.factory.", "trainer.")
"""Of settings that are a library's, which has more than those that are listed."""


def explain(error: BaseException, config_name: str, overrides: Sequence[str] = ()) -> str | None:
    """The message for an error that a person made; None for one that is ours.

    Args:
        error: what stopped the command.
        config_name: primary configuration, whose keys are the known ones.
        overrides: what was asked for on the command line.
    """
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno in DISK_ERRORS:
        return f"{error.filename or 'A file'}: {error.strerror}. {DISK_ERRORS[error.errno]}"
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _of_ours_within(error) or _explain_configuration(error, config_name, overrides)
    if isinstance(error, ValueError) and _raised_in(error).startswith("hydra."):
        return str(error)  # of an option: those that Hydra checks by itself
    return None


def _of_ours_within(error: BaseException | None) -> str | None:
    """The message of one of our errors that Hydra or OmegaConf has wrapped."""
    while error is not None:
        if isinstance(error, UserError):
            return str(error)
        error = error.__cause__ or error.__context__
    return None


def _raised_in(error: BaseException) -> str:
    """Name of the module that raised the error."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))


def _explain_configuration(error: Exception, config_name: str, overrides: Sequence[str]) -> str:
    if isinstance(error, OverrideParseException):
        return _explain_grammar(error, config_name)
    if isinstance(error, MissingConfigException):
        return _explain_choice(str(error), overrides)
    if isinstance(error, SearchPathException):
        return f"--config-dir: {error}. Give a folder that there is."
    if isinstance(error, InterpolationKeyError | UnsupportedInterpolationType):
        return _explain_interpolation(str(error), overrides)
    if isinstance(error, InstantiationException):
        where = re.search(r"full_key: (\S+)", str(error))
        return f"{where.group(1) if where else 'configuration'}: {error.__cause__ or error}".split("\nfull_key")[0]
    return _explain_key(error, config_name, overrides)


def _explain_grammar(error: OverrideParseException, config_name: str) -> str:
    """Words that Hydra's grammar cannot read, with how they are written."""
    given = error.override
    key, equals, value = given.partition("=")
    if not equals:
        matches = near(given, known_keys(config_name))
        return f"{given}: this is no key=value, and no option, which would start with --.{matches}"
    said = re.search(r"ValueError while evaluating '.*': (.*)", str(error))
    if said is not None:
        return f"{given}: {said.group(1)}."
    return (
        f"{given}: this cannot be read. Lists are written {key}=[1,2]; a text with signs such as , = : ( [ {{ or a "
        f"quote in it goes in quotes of its own: {in_shell_quotes(f'{key}={quoted(value)}')}"
    )


def in_shell_quotes(words: str) -> str:
    """Words for a shell, in double quotes where those will do: ours have single ones in them."""
    return shlex.quote(words) if set(words) & set('"$`\\!') else f'"{words}"'


def _explain_choice(text: str, overrides: Sequence[str]) -> str:
    """``arm=dnb: no such choice. Did you mean dbn?``, from Hydra's words."""
    wanted = re.search(r"Could not find '([^']+)'", text)
    group = re.search(r"Available options in '([^']+)'", text)
    if wanted is None or group is None:
        return text
    name = group.group(1)
    choice = wanted.group(1).removeprefix(f"{name}/")
    given = [o for o in overrides if re.fullmatch(rf"\+?{re.escape(name)}(@[^=]*)?={re.escape(choice)}", o)]
    listed = text.split("Available options", 1)[-1].split("\nConfig search path", 1)[0]
    options = [line.strip() for line in listed.splitlines() if line.startswith("\t")]
    words = given[0] if given else f"{name}={choice}"
    return f"{words}: no such choice.{near(choice, options)} Choose from {', '.join(sorted(options))}."


def _explain_interpolation(text: str, overrides: Sequence[str]) -> str:
    """A ``${key}`` that leads nowhere, with the override that brought it in, or took away what it leads to."""
    wanted = re.search(r"(?:key|type) '?([^'\s]+)'?", text)
    place = re.search(r"full_key: (\S+)", text)
    if wanted is None:
        return text
    key = wanted.group(1)
    given = [o for o in overrides if f"${{{key}" in o or f"~{key}.".startswith(f"{o}.")]
    where = given[0] if given else place.group(1) if place else "configuration"
    if "interpolation type" in text:
        return f"{where}: there is no ${{{key}:...}}. A setting is referred to as ${{key}}, without a colon."
    return f"{where}: the configuration refers to {key}, and there is no such setting (any more)."


SAID_BY_HYDRA = {
    r"An item is already at '([^']+)'": "this setting is there already. Leave the + away.",
    r"Multiple values for ([^\s.]+)\.": "this group has a choice already. Leave the + away.",
    r"Ambiguous value for argument '([^=]+)=": "several values make a multirun: add -m. A list is written key=[a,b].",
}
"""Hydra's words, with the key in them, and ours."""


def _explain_key(error: Exception, config_name: str, overrides: Sequence[str]) -> str:
    """A wrong or missing key, with the near matches among all keys there are."""
    text = str(error).strip()
    for pattern, words in SAID_BY_HYDRA.items():
        if found := re.search(pattern, text):
            given = [o for o in overrides if o.lstrip("+~").startswith(f"{found.group(1)}=")]
            return f"{given[-1] if given else found.group(1)}: {words}"
    missing = re.search(r"Missing mandatory value: (\S+)", text)
    if missing is not None:
        return f"{missing.group(1)}: this needs a value. Give it as {missing.group(1)}=... on the command line."
    wanted = re.search(
        r"(?:Could not override '([^']*)'|Key '([^']+)' is not in struct|Could not delete from config. '([^']+)')", text
    )
    if wanted is None:
        cause = error.__cause__
        return f"{text}\n{cause}" if isinstance(cause, OmegaConfBaseException) else text
    key = next(group for group in wanted.groups() if group is not None).lstrip("+~")
    if not key:
        return "=...: there is no key before the equals sign. Settings are given as key=value."
    if renamed(key):
        return f"{key}: no such setting.{renamed(key)}"
    keys = known_keys(config_name)
    same = [name for name in keys if name.rsplit(".", 1)[-1] == key]  # the right word at the wrong place
    matches = f" Did you mean {' or '.join(same[:3])}?" if same else near(key, keys)
    adding = f", +{key}=... adds one" if key.startswith(OPEN_GROUPS) and "delete" not in text else ""
    return f"{key}: no such setting.{matches} --help shows all of them{adding}."
