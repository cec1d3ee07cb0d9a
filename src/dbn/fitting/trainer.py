"""Lightning's Trainer for both stages: validation of its settings, and resumable fits."""

import logging
import os
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.exceptions import SIGTERMException

from dbn.errors import SettingError
from dbn.fitting.block_module import BlockModule
from dbn.fitting.checkpoints import AtomicCheckpointIO, resume_path
from dbn.fitting.preemption import TerminatedError, preemption
from dbn.machine.freed_memory import keep_freed_memory
from dbn.machine.subnormals import subnormals_flushed
from dbn.machine.threads import threads_for
from dbn.settings import Check, check_number, check_table, check_text, choice, optional, within

log = logging.getLogger(__name__)


def check_devices(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` is a number of devices, a list of device indices, or ``auto``."""
    if isinstance(value, list):
        for index in value:
            check_number(key, index, low=0, high=MOST_DEVICES, whole=True)
    elif value not in (-1, "auto", "-1"):
        check_number(key, value, low=1, high=MOST_DEVICES, whole=True)


def check_limit(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` is a number of blocks or a fraction of them."""
    check_number(key, value, low=0)
    if isinstance(value, float) and value > 1:
        raise SettingError(f"{key}={value}: it must be a whole number of blocks, or a fraction up to 1.0.")


def check_fast(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` is true, false, or a number of blocks."""
    if not isinstance(value, bool):
        check_number(key, value, low=0, whole=True)


MOST_DEVICES = 4096
TRAINER_CHECKS: dict[str, Check] = {
    "accelerator": choice("auto", "cpu", "gpu", "cuda", "mps"),
    "devices": check_devices,
    "fast_dev_run": check_fast,
    "limit_train_batches": optional(check_limit),
    "limit_val_batches": optional(check_limit),
    "num_nodes": within(low=1, high=MOST_DEVICES, whole=True),
    "overfit_batches": check_limit,
    "profiler": optional(choice("simple", "advanced", "pytorch")),
    "strategy": check_text,
}
"""Checks of the Trainer's settings that the user may set."""


def make_trainer(
    *,
    directory: Path | None,
    max_epochs: int,
    validate_every: int = 1,
    loggers: Iterable[Logger] = (),
    callbacks: Iterable[Callback] = (),
    options: dict[str, Any] | None = None,
) -> pl.Trainer:
    """Build Lightning's Trainer.

    Args:
        directory: where Lightning may write; None for a fit that writes nothing.
        max_epochs: epochs to train.
        validate_every: epochs between validations.
        loggers: receivers of the metrics.
        callbacks: progress display, checkpoints, early stopping.
        options: the group ``trainer`` of the configuration: accelerator, devices, strategy, ...

    Raises:
        SettingError: ``options`` has a key or value that the Trainer refuses, or a key that the package sets.
    """
    keep_freed_memory()
    options = dict(options or {})
    check_table("trainer", options, TRAINER_CHECKS)
    callbacks = list(callbacks)
    try:
        trainer = pl.Trainer(
            max_epochs=max_epochs,
            check_val_every_n_epoch=validate_every,
            default_root_dir=directory,
            logger=list(loggers),
            callbacks=callbacks,
            plugins=[AtomicCheckpointIO(), *slurm()],
            enable_checkpointing=any(isinstance(callback, pl.callbacks.Checkpoint) for callback in callbacks),
            enable_progress_bar=any(isinstance(callback, pl.callbacks.ProgressBar) for callback in callbacks),
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            **{"accelerator": "cpu", "devices": 1, **options},
        )
    except (MisconfigurationException, ValueError) as error:
        raise SettingError(f"trainer: {error}") from error
    if os.environ.get("SLURM_JOB_GPUS") and trainer.strategy.root_device.type == "cpu":
        log.warning(
            "This job has GPUs (SLURM_JOB_GPUS=%s) that are not used: trainer.accelerator=%s, torch %s.",
            os.environ["SLURM_JOB_GPUS"], options.get("accelerator"), torch.__version__,
        )  # fmt: skip
    return trainer


def slurm() -> list[SLURMEnvironment]:
    """Lightning's plugin for SLURM without its own requeueing; empty outside of a SLURM job."""
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []


def fit_resumably(
    trainer: pl.Trainer, module: BlockModule, train: Any, validation: Any, checkpoints: Path | None
) -> None:
    """Fit, resuming from ``last.ckpt`` in ``checkpoints`` if it exists.

    Raises:
        SettingError: several seeds with several processes.
        PreemptedError: this process was asked to stop; a checkpoint was written.
        TerminatedError: it received SIGTERM.
    """
    if trainer.world_size > 1 and len(module.seeds) > 1:
        raise SettingError(
            f"n_parallel_seeds={len(module.seeds)}: several processes share the work of one seed. Use "
            "n_parallel_seeds=1, or trainer.devices=1."
        )
    with (
        preemption.during_fit(),
        subnormals_flushed(),
        threads_for(module.largest_product),
        reraise_interrupt(),
    ):
        try:
            trainer.fit(module, train, validation, ckpt_path=resume_path(checkpoints), weights_only=True)
        except SIGTERMException as error:
            raise TerminatedError(*error.args) from error


@contextmanager
def reraise_interrupt() -> Iterator[None]:
    """Re-raise KeyboardInterrupt during a fit, in place of Lightning, which exits and then ignores SIGINT.

    Raises:
        KeyboardInterrupt: the fit was interrupted by Ctrl-C.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, before)
        raise error.__context__ from None


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress Lightning's information messages and irrelevant warnings (:data:`IGNORED_WARNINGS`)."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for words in IGNORED_WARNINGS:
                warnings.filterwarnings("ignore", words)
            yield
    finally:
        logger.setLevel(level)


IGNORED_WARNINGS = (
    ".*does not have many workers.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*log_every_n_steps.*",
    ".*`srun` command is available.*",
    ".*does not have a `validation_step`.*",
    ".*GPU available but not used.*",
    ".*have no `val_dataloader`.*",
    ".*treespec.*deprecated.*",
    ".*callbacks used to create the checkpoint need to be provided.*",
)


class LoaderContext(TypedDict):
    """Arguments of a :class:`~dbn.data.block_loader.BlockLoader` that depend on the fit."""

    epoch: Callable[[], int]
    rank: int
    world_size: int


def loader_context(trainer: pl.Trainer) -> LoaderContext:
    """Epoch, rank and world size for a :class:`~dbn.data.block_loader.BlockLoader` that ``trainer`` iterates over.

    With ``trainer.overfit_batches`` the epoch stays 0, so that every epoch has the same first blocks: Lightning cannot
    turn off the shuffling of this loader itself.
    """
    return {
        "epoch": lambda: 0 if trainer.overfit_batches else trainer.current_epoch,  # type: ignore[attr-defined]
        "rank": trainer.global_rank,
        "world_size": trainer.world_size,
    }
