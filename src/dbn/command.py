"""What every console command shares: the configuration tree, Hydra, and messages instead of tracebacks."""

import errno
import functools
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning.utilities.exceptions import SIGTERMException
from submitit.core.utils import UncompletedJobError

from dbn.arrays import wait_for_array
from dbn.errors import SettingError, UserError
from dbn.naming import swept_override
from dbn.preemption import requeueing
from dbn.settings import near

FULL_ERROR = "HYDRA_FULL_ERROR"
NAMED = "finetune"
"""The configuration whose runs have names; stacks are known by what decides how they are trained."""

_FULL = "Make room: files that were there are as they were, and the same command goes on from the last checkpoint."
_READ_ONLY = "Choose a folder that can be written to: paths.runs=..."
DISK_ERRORS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _READ_ONLY,
    errno.EPERM: _READ_ONLY,
}


def config_directory() -> Path:
    """The folder ``conf/``: of the checkout the package is installed from, or inside the installed package."""
    package = Path(__file__).resolve().parent
    checkout = package.parents[1]
    return checkout / "conf" if (checkout / "pyproject.toml").is_file() else package / "conf"


def run_command(
    config_name: str,
    task: Callable[[DictConfig], Any],
    *,
    positional: str | None = None,
    at_end: Callable[[], None] | None = None,
) -> None:
    """Run a console command: compose the configuration, do the task, turn a person's mistakes into messages.

    Exit status: 0 done, 1 a run failed, 2 a mistake in what was asked for, 130 interrupted, 143 stopped by SIGTERM.

    Args:
        config_name: primary configuration, e.g. ``finetune``.
        task: what to do with the composed configuration.
        positional: key that a first argument without ``=`` stands for.
        at_end: what to do after all runs of a multirun, the failed ones included.
    """
    traceback_wanted = os.environ.get(FULL_ERROR) == "1"
    os.environ[FULL_ERROR] = "1"  # Hydra hands errors on instead of printing them
    arguments = sys.argv[1:]
    if positional is not None and arguments and "=" not in arguments[0] and not arguments[0].startswith("-"):
        arguments[0] = f"{positional}={quoted(arguments[0])}"
    try:
        overrides = [argument for argument in arguments if is_override(argument)]
        options = [argument for argument in arguments if not is_override(argument)]
        # Options first: Hydra's parser does not take overrides on both sides of an option.
        sys.argv[1:] = [*options, *overrides, *(swept_override(overrides) if config_name == NAMED else ())]
        try:
            hydra.main(version_base="1.3", config_path=str(config_directory()), config_name=config_name)(
                requeued(task)
            )()
        except UncompletedJobError as error:
            wait_for_array(error)
            raise
        finally:
            if at_end is not None:
                at_end()
    except KeyboardInterrupt:
        say("Interrupted. The same command goes on from the last checkpoint.")
        sys.exit(130)
    except SIGTERMException:
        say("Stopped by SIGTERM. The same command goes on from the last checkpoint.")
        sys.exit(143)
    except UncompletedJobError as error:
        say(f"{str(error).splitlines()[0]}\nThe same command does only what is missing; dbn-status says what that is.")
        sys.exit(1)
    except Exception as error:
        message = explain(error, config_name)
        if traceback_wanted or message is None:
            raise
        say(message)
        sys.exit(2)


def requeued(task: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Any]:
    """The task, which goes back into SLURM's queue when it is told to stop."""

    @functools.wraps(task)
    def watched(config: DictConfig) -> Any:
        check_processes(config)
        with calling_folder(), requeueing():
            return task(config)

    return watched


@contextmanager
def calling_folder() -> Iterator[None]:
    """Where the command was called, which relative paths start from, wherever ``hydra.job.chdir`` goes."""
    here = Path.cwd()
    os.chdir(HydraConfig.get().runtime.cwd)
    try:
        yield
    finally:
        os.chdir(here)


def check_processes(config: DictConfig) -> None:
    """Refuse several processes in a multirun on one machine, where each process would start the whole multirun again.

    Raises:
        SettingError: with what to use instead.
    """
    trainer = config.get("trainer")
    if trainer is None:
        return
    several = str(trainer.get("strategy", "")).startswith("ddp") and trainer.get("devices") != 1
    if several and in_multirun() and "SLURM_JOB_ID" not in os.environ:
        raise SettingError(
            f"trainer.strategy={trainer.strategy}, trainer.devices={trainer.devices}: jobs of a multirun on one "
            "machine run one after another in one process. Use trainer.devices=1, call the command once per run, or "
            "submit the multirun with hydra/launcher=slurm_ddp."
        )


def say(message: str) -> None:
    """One message to the person, on standard error."""
    print(message, file=sys.stderr)


def explain(error: BaseException, config_name: str) -> str | None:
    """The message for an error that a person made; None for one that is ours."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno in DISK_ERRORS:
        return f"{error.filename or 'A file'}: {error.strerror}. {DISK_ERRORS[error.errno]}"
    if isinstance(error, InstantiationException):
        cause = error.__cause__
        if isinstance(cause, UserError):
            return str(cause)
        where = re.search(r"full_key: (\S+)", str(error))
        return f"{where.group(1) if where else 'configuration'}: {cause or error}".split("\nfull_key")[0]
    if isinstance(error, MissingConfigException):
        return _explain_choice(str(error))
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _explain_key(error, config_name)
    return None


def _explain_choice(text: str) -> str:
    """``arm=dnb: no such choice. Did you mean dbn?``, from Hydra's words."""
    wanted = re.search(r"Could not find '([^']+)/([^'/]+)'", text)
    if wanted is None:
        return text
    group, choice = wanted.groups()
    listed = text.split("Available options", 1)[-1].split("\nConfig search path", 1)[0]
    options = [line.strip() for line in listed.splitlines() if line.startswith("\t")]
    return f"{group}={choice}: no such choice.{near(choice, options)} Choose from {', '.join(sorted(options))}."


def _explain_key(error: Exception, config_name: str) -> str:
    """A wrong or missing key, with the near matches among all keys there are."""
    text = str(error).strip()
    missing = re.search(r"Missing mandatory value: (\S+)", text)
    if missing is not None:
        return f"{missing.group(1)}: this needs a value. Give it as {missing.group(1)}=... on the command line."
    wanted = re.search(r"Could not override '([^']+)'", text) or re.search(r"Key '([^']+)' is not in struct", text)
    if wanted is None:
        cause = error.__cause__
        return f"{text}\n{cause}" if isinstance(cause, OmegaConfBaseException) else text
    key = wanted.group(1).lstrip("+~")
    keys = known_keys(config_name)
    same = [name for name in keys if name.rsplit(".", 1)[-1] == key]  # the right word at the wrong place
    matches = f" Did you mean {' or '.join(same[:3])}?" if same else near(key, keys)
    return f"{key}: no such setting.{matches} --help shows all of them, +{key}=... adds one."


def known_keys(config_name: str) -> list[str]:
    """Every dotted key of the configuration as it is without overrides, and every group."""
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        config = hydra.compose(config_name, return_hydra_config=False)
        groups = GlobalHydra.instance().config_loader().list_groups("")
    return [*flatten(config), *(group for group in groups if group != "hydra")]


def flatten(config: Any, prefix: str = "") -> list[str]:
    """Dotted keys of a nested configuration, branches included."""
    keys = []
    if isinstance(config, DictConfig):
        for name in map(str, config):
            key = f"{prefix}.{name}".lstrip(".")
            node = config._get_node(name)
            keys += [key, *(flatten(node, key) if isinstance(node, DictConfig) and not node._is_none() else [])]
    return keys


def is_override(argument: str) -> bool:
    """Whether an argument is an override, as against an option such as ``-m``."""
    return argument.startswith("~") or ("=" in argument and not argument.startswith("-"))


def task_overrides() -> list[str]:
    """The overrides of the job that Hydra is running."""
    return list(HydraConfig.get().overrides.task)


def in_multirun() -> bool:
    """Whether the job that Hydra is running is one of several."""
    return HydraConfig.get().mode == RunMode.MULTIRUN


def quoted(value: str) -> str:
    """A value as Hydra's override grammar reads any text."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def plain(config: DictConfig | ListConfig) -> Any:
    """A configuration as plain dicts and lists, every interpolation resolved.

    Raises:
        SettingError: a value is missing.
    """
    missing = OmegaConf.missing_keys(config)
    if missing:
        key = sorted(missing)[0]
        raise SettingError(f"{key}: this needs a value. Give it as {key}=... on the command line.")
    return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
