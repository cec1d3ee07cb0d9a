"""Messages for errors of Hydra, OmegaConf and the file system that the user can correct."""

import errno
import re
import shlex
from collections.abc import Sequence

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
    SearchPathException,
)
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
)

from dbn.commands.configuration import config_directory, known_keys
from dbn.commands.texts import quoted
from dbn.errors import UserError
from dbn.settings import rename_hint, suggestion

_FULL = "Make room: existing files are unchanged, and the same command goes on from the last checkpoint."
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


PLUGINS = {
    "hydra/launcher/joblib": " pip install 'layerwise-dbn[sweepers]' installs it.",
    "hydra/sweeper/optuna": " pip install hydra-optuna-sweeper installs it; sweep=optuna searches without it.",
}
"""Choices that packages beside this one bring."""
OPEN_GROUPS = ("optimizer.", "stack.optimizer.", "schedule.factory.", "trainer.")
"""Groups whose settings are passed to a library, which accepts more than those in ``conf/``."""


NO_SUCH_KEY = (ConfigKeyError, ConfigAttributeError)
"""OmegaConf's errors for an unknown key."""


def explain(error: BaseException, config_name: str, overrides: Sequence[str] = ()) -> str | None:
    """The message for an error that the user can correct; None for any other error.

    Args:
        error: the error that stopped the command.
        config_name: primary configuration, which defines the known keys.
        overrides: overrides on the command line.
    """
    if isinstance(error, UserError):
        return str(error)
    if is_out_of_memory(error):
        return (
            f"{str(error).partition('. ')[0]}: the memory of the GPU does not hold this run beside what else is there. "
            "Take smaller minibatches (training.batch_size, stack.every_layer.batch_size), fewer seeds together "
            "(n_parallel_seeds), or fewer runs on one GPU (runs_at_once, hydra.launcher.workers)."
        )
    if isinstance(error, OSError) and error.errno in DISK_ERRORS:
        return f"{error.filename or 'A file'}: {error.strerror}. {DISK_ERRORS[error.errno]}"
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _wrapped_user_error(error) or _explain_configuration(error, config_name, overrides)
    if isinstance(error, ValueError) and _raised_in(error).startswith("hydra."):
        return str(error)  # an option that Hydra checks itself
    if isinstance(error, ValueError) and _raised_in(error).startswith("omegaconf."):
        return _explain_list(config_name, overrides)
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it is torch's error for a GPU whose memory is full. By name: most commands have no use for torch."""
    kind = type(error)
    return kind.__name__ == "OutOfMemoryError" and kind.__module__.partition(".")[0] == "torch"


def _wrapped_user_error(error: BaseException | None) -> str | None:
    """The message of a :class:`UserError` that Hydra or OmegaConf has wrapped, or None."""
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
        return _explain_choice(error, _parsed(overrides))
    if isinstance(error, SearchPathException):
        return f"--config-dir: {error}. Give a folder that there is."
    if isinstance(error, InterpolationKeyError | UnsupportedInterpolationType):
        return _explain_interpolation(error, overrides)
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key}: this needs a value. Give it as {error.full_key}=... on the command line."
    if isinstance(error, NO_SUCH_KEY) and error.full_key:
        return _no_such_setting(error.full_key, config_name)
    text = "\n".join(str(said).strip() for said in (error, error.__cause__) if said is not None and str(said).strip())
    of_a_value = isinstance(error.__cause__, OmegaConfBaseException) and not isinstance(error.__cause__, NO_SUCH_KEY)
    if of_a_value or not isinstance(error, ConfigCompositionException):
        return text  # it names the key
    return _explain_refused(config_name, overrides) or text


def _parsed(overrides: Sequence[str]) -> list[Override]:
    return OverridesParser.create().parse_overrides(list(overrides))


def _explain_grammar(error: OverrideParseException, config_name: str) -> str:
    """Message for an override that Hydra cannot parse."""
    given = error.override
    key, equals, value = given.partition("=")
    if not equals:
        matches = suggestion(given, known_keys(config_name))
        return f"{given}: this is no key=value, and no option, which would start with --.{matches}"
    if isinstance(error.__cause__, ValueError):  # invalid arguments of a function of the grammar, such as choice()
        return f"{given}: {error.__cause__}."
    return (
        f"{given}: this cannot be read. Lists are written {key}=[1,2]; a text with signs such as , = : ( [ {{ or a "
        f"quote in it goes in quotes of its own: {shell_quoted(f'{key}={quoted(value)}')}"
    )


def shell_quoted(words: str) -> str:
    """Words quoted for a shell, in double quotes if possible: overrides contain single ones."""
    return shlex.quote(words) if set(words) & set('"$`\\!') else f'"{words}"'


def _explain_choice(error: MissingConfigException, overrides: Sequence[Override]) -> str:
    """Message for an unknown choice: ``arm=dnb: no such choice. Did you mean dbn?``."""
    if error.missing_cfg_file is None or error.options is None:
        return str(error)
    group, _, choice = error.missing_cfg_file.rpartition("/")
    words = f"{group}={choice}"
    for override in overrides:
        if error.missing_cfg_file == f"{override.key_or_group}/{override.value()}":
            words, choice = str(override.input_line), str(override.value())
    hint = PLUGINS.get(error.missing_cfg_file) or suggestion(choice, error.options)
    return f"{words}: no such choice.{hint} Choose from {', '.join(sorted(error.options))}."


def _explain_interpolation(error: OmegaConfBaseException, overrides: Sequence[str]) -> str:
    """Message for a ``${key}`` without target, with the override that introduced it or deleted the target.

    The error's ``full_key`` is the key with the interpolation; the missing target is only in its message.
    """
    wanted = re.search(r"(?:key|type) '?([^'\s]+)'?", str(error))
    if wanted is None:
        return str(error)
    key = wanted.group(1)
    given = [o for o in overrides if f"${{{key}" in o or f"~{key}.".startswith(f"{o}.")]
    where = given[0] if given else error.full_key or "configuration"
    if isinstance(error, UnsupportedInterpolationType):
        return f"{where}: there is no ${{{key}:...}}. A setting is referred to as ${{key}}, without a colon."
    return f"{where}: the configuration refers to {key}, and there is no such setting (any more)."


def _explain_list(config_name: str, overrides: Sequence[str]) -> str | None:
    """An override of an entry of a list by a name: OmegaConf wants a number, and says so by a bare ValueError."""
    refused = refused_override(config_name, overrides)
    if refused is None:
        return None
    name = refused.get_key_element().lstrip("+~").rpartition(".")[0]
    return f"{refused.input_line}: {name} is a list. Give it as a whole: {name}=[...]"


def _explain_refused(config_name: str, overrides: Sequence[str]) -> str | None:
    """Message for the override that Hydra refuses; None if it refuses no single one."""
    refused = refused_override(config_name, overrides)
    if refused is None:
        swept = [
            one.input_line for one in _parsed(overrides) if one.is_sweep_override() and not one.is_hydra_override()
        ]
        return f"{swept[0]}: several values make a multirun: add -m. A list is written key=[a,b]." if swept else None
    key = refused.get_key_element().lstrip("+~")
    if not key:
        return "=...: there is no key before the equals sign. Settings are given as key=value."
    known = known_keys(config_name)
    if (refused.is_add() or refused.is_force_add()) and (refused.package is None or refused.key_or_group in known):
        return f"{refused.input_line}: this is there already. Leave the + away."
    if refused.is_delete() and key in known:
        return f"{refused.input_line}: other choices depend on this one."
    return _no_such_setting(key, config_name, may_be_added=not refused.is_delete())


def refused_override(config_name: str, overrides: Sequence[str]) -> Override | None:
    """The first override with which composing fails, or None; Hydra's error names it in its text only.

    Group choices are applied before values, which may be settings of the chosen groups. Of a sweep, the first value is
    tried. Choices missing from ``conf/`` are skipped: ``--config-dir`` may provide them.
    """
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        loader, taken = GlobalHydra.instance().config_loader(), list[str]()
        for override in sorted(_parsed(overrides), key=lambda one: not loader.get_group_options(one.key_or_group)):
            words = str(override.input_line)
            if override.is_sweep_override():
                values = override.value()
                first = (
                    values.start if isinstance(values, IntervalSweep) else next(override.sweep_string_iterator(), "")
                )
                words = f"{override.get_key_element()}={first}"
            try:
                hydra.compose(config_name, [*taken, words])
            except MissingConfigException:
                continue
            except (HydraException, OmegaConfBaseException, ValueError):
                return override
            taken.append(words)
    return None


def _no_such_setting(key: str, config_name: str, *, may_be_added: bool = True) -> str:
    """Message for an unknown key, with close matches among all known keys."""
    if rename_hint(key):
        return f"{key}: no such setting.{rename_hint(key)}"
    keys = list(dict.fromkeys(known_keys(config_name)))
    same = [name for name in keys if name.rsplit(".", 1)[-1] == key]  # right name, wrong group
    matches = f" Did you mean {' or '.join(same[:3])}?" if same else suggestion(key, keys)
    adding = f", +{key}=... adds one" if key.startswith(OPEN_GROUPS) and may_be_added else ""
    return f"{key}: no such setting.{matches} --help shows all of them{adding}."
