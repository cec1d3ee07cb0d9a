"""Shared code of the console commands: running Hydra, and messages instead of tracebacks."""

import functools
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig
from submitit.core.utils import UncompletedJobError

from dbn.commands.boundary import RefusedError
from dbn.commands.configuration import config_directory
from dbn.commands.explain import explain, is_out_of_memory
from dbn.commands.freezing import remember_arguments
from dbn.commands.output import safe_output
from dbn.commands.overrides import check_overrides
from dbn.commands.shorthand import expand
from dbn.commands.slurm_array import wait_for_array
from dbn.commands.texts import quote_texts, quoted
from dbn.errors import SettingError
from dbn.fitting.interrupts import INTERRUPTED, interruptible, interruption_message
from dbn.fitting.preemption import PreemptedError, TerminatedError, preemption, requeueing
from dbn.runs.naming import swept_override

FULL_ERROR = "HYDRA_FULL_ERROR"
NAMED = "finetune"
"""The configuration whose runs have names; a stack's name follows from its settings."""
NO_MEMORY = 75
"""Exit status where a GPU's memory was full: the same command may succeed alone. ``EX_TEMPFAIL`` of sysexits.h."""


def run_command(
    config_name: str,
    task: Callable[[DictConfig], Any],
    *,
    positional: str | None = None,
    at_end: Callable[[], None] | None = None,
) -> None:
    """Run a console command: compose the configuration, do the task, print user errors as messages.

    Exit status: 0 done, 1 a run failed, 2 invalid arguments or data, 75 a GPU's memory was full, 130 interrupted, 143
    stopped by SIGTERM.

    Args:
        config_name: primary configuration, e.g. ``finetune``.
        task: function of the composed configuration.
        positional: key that a first argument without ``=`` is assigned to.
        at_end: called after all runs of a multirun, even if some failed.
    """
    with safe_output():
        _run(config_name, task, positional, at_end)


def _run(
    config_name: str, task: Callable[[DictConfig], Any], positional: str | None, at_end: Callable[[], None] | None
) -> None:
    traceback_wanted = os.environ.get(FULL_ERROR) == "1"
    os.environ[FULL_ERROR] = "1"  # Hydra then raises errors instead of printing them
    remember_arguments(sys.argv[1:])
    arguments = expand(config_name, sys.argv[1:])
    command = shlex.join([f"dbn-{config_name}", *sys.argv[1:]])
    if positional is not None and arguments and "=" not in arguments[0] and not arguments[0].startswith("-"):
        arguments[0] = f"{positional}={quoted(arguments[0])}"
    overrides: list[str] = []
    try:
        overrides = quote_texts([argument for argument in arguments if is_override(argument)])
        check_overrides(OverridesParser.create().parse_overrides(overrides), config_directory())
        options = [argument for argument in arguments if not is_override(argument)]
        # Options first: Hydra's parser does not take overrides on both sides of an option.
        sys.argv[1:] = [*options, *overrides, *(swept_override(overrides) if config_name == NAMED else ())]
        try:
            with interruptible():
                hydra.main(version_base="1.3", config_path=str(config_directory()), config_name=config_name)(
                    requeue_on_signal(task)
                )()
        except UncompletedJobError as error:
            wait_for_array(error)
            raise
        finally:
            if at_end is not None and not preemption.from_keyboard:
                at_end()
    except (KeyboardInterrupt, PreemptedError):
        print_message(interruption_message(command))
        sys.exit(INTERRUPTED)
    except TerminatedError:
        print_message("Stopped by SIGTERM. The same command goes on from the last checkpoint.")
        sys.exit(143)
    except UncompletedJobError as error:
        print_message(
            f"{str(error).splitlines()[0]}\nThe same command does only what is missing; dbn-status says what that is."
        )
        sys.exit(1)
    except (Exception, RefusedError) as error:
        message = explain(error.reason if isinstance(error, RefusedError) else error, config_name, overrides)
        if traceback_wanted or message is None:
            raise
        print_message(message)
        sys.exit(NO_MEMORY if is_out_of_memory(error) else 2)


def requeue_on_signal(task: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Any]:
    """The task, requeued by SLURM when the job is preempted."""

    @functools.wraps(task)
    def requeueable(config: DictConfig) -> Any:
        preemption.checkpoint = None  # that of the previous job of a multirun
        check_processes(config)
        with in_calling_folder(), requeueing(own_command()):
            return task(config)

    return requeueable


@contextmanager
def in_calling_folder() -> Iterator[None]:
    """Change to the folder where the command was called: relative paths refer to it despite ``hydra.job.chdir``."""
    here = Path.cwd()
    os.chdir(HydraConfig.get().runtime.cwd)
    try:
        yield
    finally:
        os.chdir(here)


def check_processes(config: DictConfig) -> None:
    """Refuse DDP in a multirun on one machine: each process would start the whole multirun again.

    Raises:
        SettingError: the message names the alternatives.
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


def own_command() -> str:
    """The command of the current Hydra job alone."""
    overrides = task_overrides()
    once = ["hydra.mode=RUN"] if any(one.startswith("sweep=") for one in overrides) else []
    return shlex.join([f"dbn-{HydraConfig.get().job.config_name}", *overrides, *once])


def print_message(message: str) -> None:
    """Print to standard error."""
    print(message, file=sys.stderr)


def is_override(argument: str) -> bool:
    """Whether an argument is an override, not an option such as ``-m``."""
    return argument.startswith("~") or ("=" in argument and not argument.startswith("-"))


def task_overrides() -> list[str]:
    """Overrides of the current Hydra job."""
    return list(HydraConfig.get().overrides.task)


def in_multirun() -> bool:
    """Whether the current Hydra job is part of a multirun."""
    return HydraConfig.get().mode == RunMode.MULTIRUN
