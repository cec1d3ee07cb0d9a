"""Lightning's Trainer as both stages use it: its checked settings, and a fit that goes on where one was interrupted."""

import logging
import os
import signal
import time
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

from dbn.errors import SettingError
from dbn.fitting.block_module import BlockModule
from dbn.fitting.checkpoints import WholeCheckpointIO, resume_path
from dbn.fitting.preemption import preemption
from dbn.machine.freed_memory import keep_freed_memory
from dbn.machine.threads import threads_for
from dbn.settings import Check, check_number, check_table, check_text, choice, optional, within

log = logging.getLogger(__name__)


def check_devices(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless Lightning takes ``value`` for devices: how many, which, or all there are."""
    if isinstance(value, list):
        for number_of_device in value:
            check_number(key, number_of_device, low=0, high=MOST_DEVICES, whole=True)
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
"""Of the settings of Lightning's Trainer that are left to a person."""


def make_trainer(
    *,
    directory: Path | None,
    max_epochs: int,
    validate_every: int = 1,
    loggers: Iterable[Logger] = (),
    callbacks: Iterable[Callback] = (),
    options: dict[str, Any] | None = None,
) -> pl.Trainer:
    """Lightning's Trainer as both stages use it.

    Args:
        directory: where Lightning may write; None for a fit that leaves nothing behind.
        max_epochs: epochs to train.
        validate_every: epochs from one validation to the next.
        loggers: where metrics go.
        callbacks: progress display, checkpoints, early stopping.
        options: the group ``trainer`` of the configuration: accelerator, devices, strategy, ...

    Raises:
        SettingError: ``options`` holds a key or value that the Trainer refuses, or a key the package sets itself.
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
            plugins=[WholeCheckpointIO(), *slurm()],
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
    """Within a SLURM job, Lightning's knowledge of it, without its own way of going back into the queue."""
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []


class Stopwatch(Callback):
    """Seconds of a fit, those before an interruption included."""

    def __init__(self) -> None:
        self.before = 0.0
        self.started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self.before + time.perf_counter() - self.started

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.before = state_dict["seconds"]


def fit_resumably(
    trainer: pl.Trainer, module: BlockModule, train: Any, validation: Any, checkpoints: Path | None
) -> None:
    """Fit, from ``last.ckpt`` in ``checkpoints`` if a fit was interrupted there.

    Raises:
        SettingError: several seeds and several processes.
        PreemptedError: this process was told to stop; a checkpoint was written.
    """
    if trainer.world_size > 1 and len(module.seeds) > 1:
        raise SettingError(
            f"n_parallel_seeds={len(module.seeds)}: several processes share the work of one seed. Use "
            "n_parallel_seeds=1, or trainer.devices=1."
        )
    with preemption.during_fit(), threads_for(module.largest_product), interrupts_passing():
        trainer.fit(module, train, validation, ckpt_path=resume_path(checkpoints), weights_only=True)


@contextmanager
def interrupts_passing() -> Iterator[None]:
    """A fit in a notebook that Ctrl-C interrupts, where Lightning ends the process and ignores all further ones.

    Raises:
        KeyboardInterrupt: it did.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as left:
        if not isinstance(left.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, before)
        raise left.__context__ from None


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress warnings that Lightning gives at every fit and that a person can do nothing about."""
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
    """What a :class:`BlockLoader` needs to know of the fit: this process among all, and which epoch it is."""

    epoch: Callable[[], int]
    rank: int
    world_size: int


def loader_context(trainer: pl.Trainer) -> LoaderContext:
    """For a :class:`BlockLoader` that ``trainer`` iterates over.

    With ``trainer.overfit_batches`` the first blocks are the same in every epoch, as Lightning promises: of loaders it
    does not know, it cannot turn off the shuffling itself.
    """
    return {
        "epoch": lambda: 0 if trainer.overfit_batches else trainer.current_epoch,  # type: ignore[attr-defined]
        "rank": trainer.global_rank,
        "world_size": trainer.world_size,
    }
