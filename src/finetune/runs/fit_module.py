"""The fit of a network's module: Trainer and loaders of blocks, with or without files."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger

from dbn.data.block_loader import BlockLoader
from dbn.data.group_loader import join_loaders, move_all
from dbn.data.images import ImageSet
from dbn.fitting.trainer import fit_resumably, loader_context, make_trainer, quiet
from finetune.networks.network_memory import EVALUATED_AT_ONCE
from finetune.tasks import FineTuning, SemiSupervised
from finetune.tasks.unlabelled_minibatches import UnlabelledMinibatches


def fit_module(
    module: FineTuning,
    train: Sequence[ImageSet],
    validation: Sequence[ImageSet],
    *,
    unlabelled: Sequence[ImageSet] = (),
    checkpoints: Path | None = None,
    loggers: Iterable[Logger] = (),
    callbacks: Iterable[Callback] = (),
    options: dict[str, Any] | None = None,
) -> pl.Trainer:
    """Train the network of a module, or its group of networks, in place.

    Args:
        module: the task, with the network and its settings.
        train: training images of each network.
        validation: validation images of each network; may be empty.
        unlabelled: unlabelled images of each network, for a :class:`SemiSupervised` module.
        checkpoints: folder to resume from and for files of callbacks; None: no files.
        loggers: receivers of the metrics.
        callbacks: of Lightning.
        options: the group ``trainer`` of the configuration.

    Returns:
        The Trainer, which knows the epochs that were trained.

    Raises:
        DivergenceError: a network's weights became infinite or NaN.
    """
    settings = module.settings
    with quiet():
        trainer = make_trainer(
            directory=checkpoints, max_epochs=settings.epochs, validate_every=settings.validate_every, loggers=loggers,
            callbacks=callbacks, options=options,
        )  # fmt: skip
        device = trainer.strategy.root_device
        context = loader_context(trainer)
        images = move_all([*train, *validation], device)
        training = [
            BlockLoader(
                own, batch_size=settings.batch_size, images_per_example=module.images_per_example, seed=seed, **context
            )
            for own, seed in zip(images[: len(train)], module.seeds, strict=True)
        ]
        if isinstance(module, SemiSupervised):
            module.unlabelled = UnlabelledMinibatches(
                move_all(unlabelled, device), batch_size=settings.batch_size * module.use.ratio, seeds=module.seeds,
                rank=context["rank"], world_size=context["world_size"],
            )  # fmt: skip
        validating = None
        if len(validation[0]):
            validating = join_loaders([
                BlockLoader(own, batch_size=EVALUATED_AT_ONCE, minibatches_per_block=1, **context)
                for own in images[len(train) :]
            ])  # fmt: skip
        fit_resumably(trainer, module, join_loaders(training), validating, checkpoints)
    return trainer
