"""What every console command shares: the configuration tree, Hydra, and messages instead of tracebacks."""

import functools
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities.exceptions import SIGTERMException
from submitit.core.utils import UncompletedJobError

from dbn.arrays import wait_for_array
from dbn.boundary import RefusedError
from dbn.checkpoints import LastCheckpoint
from dbn.configuration import config_directory as config_directory
from dbn.configuration import plain as plain
from dbn.errors import SettingError
from dbn.explain import explain
from dbn.interrupts import INTERRUPTED, farewell, interruptible
from dbn.output import safe_output
from dbn.overrides import check_overrides
from dbn.preemption import PreemptedError, preemption, requeueing
from dbn.texts import as_texts, quoted

FULL_ERROR = "HYDRA_FULL_ERROR"


def sizes_in_name(layers: Any) -> str:
    """``${sizes:${stack.layers}}``: a stack's name says its layers, ``500_500_2000``."""
    if not isinstance(layers, Sequence) or isinstance(layers, str):
        return "layers"  # no list, which is said where layers are checked
    return "_".join(str(x.get("n_hidden") if isinstance(x, Mapping) else x) for x in layers)


OmegaConf.register_new_resolver("sizes", sizes_in_name, replace=True)


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
    with safe_output():
        _run(config_name, task, positional, at_end)


def _run(
    config_name: str, task: Callable[[DictConfig], Any], positional: str | None, at_end: Callable[[], None] | None
) -> None:
    traceback_wanted = os.environ.get(FULL_ERROR) == "1"
    os.environ[FULL_ERROR] = "1"  # Hydra hands errors on instead of printing them
    arguments = sys.argv[1:]
    command = shlex.join([f"dbn-{config_name}", *arguments])
    if positional is not None and arguments and "=" not in arguments[0] and not arguments[0].startswith("-"):
        arguments[0] = f"{positional}={quoted(arguments[0])}"
    overrides: list[str] = []
    try:
        overrides = as_texts([argument for argument in arguments if is_override(argument)])
        check_overrides(parse_overrides(overrides), config_directory())
        options = [argument for argument in arguments if not is_override(argument)]
        # Options first: Hydra's parser does not take overrides on both sides of an option.
        sys.argv[1:] = [*options, *overrides, *name_of_swept_runs(overrides)]
        try:
            with interruptible():
                hydra.main(version_base="1.3", config_path=str(config_directory()), config_name=config_name)(
                    requeued(task)
                )()
        except UncompletedJobError as error:
            wait_for_array(error)
            raise
        finally:
            if at_end is not None and not preemption.by_person:
                at_end()
    except (KeyboardInterrupt, PreemptedError):
        say(farewell(command))
        sys.exit(INTERRUPTED)
    except SIGTERMException:
        say("Stopped by SIGTERM. The same command goes on from the last checkpoint.")
        sys.exit(143)
    except UncompletedJobError as error:
        say(f"{str(error).splitlines()[0]}\nThe same command does only what is missing; dbn-status says what that is.")
        sys.exit(1)
    except (Exception, RefusedError) as error:
        message = explain(error.reason if isinstance(error, RefusedError) else error, config_name, overrides)
        if traceback_wanted or message is None:
            raise
        say(message)
        sys.exit(2)


def requeued(task: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Any]:
    """The task, which goes back into SLURM's queue when it is told to stop."""

    @functools.wraps(task)
    def watched(config: DictConfig) -> Any:
        LastCheckpoint.latest = None  # of another job of a multirun
        check_processes(config)
        with requeueing():
            return task(config)

    return watched


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


def is_override(argument: str) -> bool:
    """Whether an argument is an override, as against an option such as ``-m``."""
    return argument.startswith("~") or ("=" in argument and not argument.startswith("-"))


def parse_overrides(arguments: Sequence[str]) -> list[Override]:
    """Overrides as Hydra's grammar reads them."""
    return OverridesParser.create().parse_overrides(list(arguments))


def name_of_swept_runs(arguments: Sequence[str]) -> list[str]:
    """A ``name=`` override that keeps the runs of a multirun apart, or nothing where arm and seed do so already.

    ``-m optimizer.lr=0.1,0.3`` gives the runs the names ``dbn_optimizer.lr=0.1`` and ``dbn_optimizer.lr=0.3``.
    """
    overrides = parse_overrides(arguments)
    if any(override.key_or_group == "name" for override in overrides):
        return []
    swept = [
        o.key_or_group for o in overrides if o.is_sweep_override() and o.key_or_group not in ("arm", "seed", "study")
    ]
    if not swept:
        return []
    groups = {path.name for path in config_directory().iterdir() if path.is_dir()}
    values = [f"{key}=${{hydra:runtime.choices.{key}}}" if key in groups else f"{key}=${{{key}}}" for key in swept]
    return [f"name='${{base_name}}_{'_'.join(values)}'"]


def task_overrides() -> list[str]:
    """The overrides of the job that Hydra is running."""
    return list(HydraConfig.get().overrides.task)


def in_multirun() -> bool:
    """Whether the job that Hydra is running is one of several."""
    return HydraConfig.get().mode == RunMode.MULTIRUN
