"""Greedy layer-wise pretraining: one RBM after the other, each on the means of the one below."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.callbacks import Callback

from dbn.checkpoints import LastCheckpoint, resume_path
from dbn.data import DataSet, check_unit_interval
from dbn.data.blocks import BlockLoader
from dbn.data.images import Images
from dbn.errors import SettingError
from dbn.loop import Stopwatch, loader_share, make_trainer, quiet
from dbn.optimizer import SGD
from dbn.progress import FitProgress
from dbn.rbm import RBM
from dbn.representations import Representations, propagate, same_windows
from dbn.samplers import ContrastiveDivergence, Sampler
from dbn.stack import DBN
from dbn.streams import stream
from dbn.tracking import Tracker
from dbn.training import MONITOR_IMAGES, LayerSettings, OptimizerFactory, RBMTraining
from dbn.units import Bernoulli, make_units


def pretrain_stack(
    data: DataSet,
    layers: Sequence[LayerSettings],
    *,
    visible: str = "bernoulli",
    seed: int = 0,
    sampler: Callable[..., Sampler] = ContrastiveDivergence,
    optimizer: OptimizerFactory = SGD,
    precision: str = "auto",
    representations: str = "memory",
    directory: Path | None = None,
    checkpoint_seconds: float = 10.0,
    tracker: Tracker | None = None,
    trainer_options: dict[str, Any] | None = None,
    progress: bool = True,
) -> DBN:
    """Pretrain a stack of RBMs layer by layer, with one Trainer fit per layer.

    With a ``directory``, finished layers and the last epoch of the one at work are kept in ``checkpoints/``: calling
    again after an interruption goes on there and ends with the same bits as an uninterrupted run (on CPU).

    Args:
        data: images; training sees all of them, labelled or not.
        layers: settings of each RBM, from the data upwards.
        visible: type of the visible units of the first RBM.
        seed: the run's seed.
        sampler: makes a layer's sampler from its ``steps``.
        optimizer: makes the optimiser.
        precision: of the matrix products: ``auto``, ``float32`` or ``bf16``, see :mod:`dbn.precision`.
        representations: of lower layers: ``memory``, ``compute`` or ``disk``, see :class:`Representations`.
        directory: where to keep checkpoints; None keeps nothing.
        checkpoint_seconds: least time between two checkpoints within a layer; 0 for one after every epoch.
        tracker: where metrics go.
        trainer_options: the group ``trainer`` of the configuration.
        progress: show a bar, or a line per layer where there is no terminal.

    Returns:
        The stack. Attributes of its training are in ``checkpoints/layer<k>.safetensors``.

    Raises:
        DataError: binary visible units and values outside [0, 1]; or images in a file cannot be read.
        SettingError: no layer, or ``representations`` is none of the above.
        DivergenceError: a layer met values that are not finite; its last good checkpoint stays.

    References:
        Hinton, Osindero & Teh (2006), Neural Computation 18:1527; Hinton & Salakhutdinov (2006), Science 313:504.
    """
    if not layers:
        raise SettingError("stack.layers=[]: a stack needs at least one layer.")
    store = Representations(representations, directory)
    if visible == Bernoulli.kind:
        check_unit_interval(data.train, data_name=data.name)
        check_unit_interval(data.validation, data_name=data.name)
    train, validation = same_windows(data.train, [layer.n_hidden for layer in layers[:-1]]), data.validation
    files = [None if directory is None else layer_file(directory, number) for number in range(1, len(layers) + 1)]
    untrained = [number for number, file in enumerate(files, start=1) if file is None or not file.is_file()]
    rbms: list[RBM] = []
    kind, size = visible, data.n_features
    first_epoch = 0
    for number, (settings, file) in enumerate(zip(layers, files, strict=True), start=1):
        if file is not None and file.is_file():
            rbm = DBN.load(file)[0]
        else:
            generator = stream(seed, "init", number)
            rbm = RBM(
                make_units(kind, size),
                make_units(settings.hidden, settings.n_hidden),
                weight_std=settings.weight_std,
                generator=generator,
            )
            if settings.bias_from_data:
                rbm.visible.initialise_bias(mean_features(train))
            facts = train_layer(
                rbm, settings, train, validation, number=number, of=len(layers), seed=seed, sampler=sampler,
                optimizer=optimizer, precision=precision, directory=directory, checkpoint_seconds=checkpoint_seconds,
                tracker=tracker, first_epoch=first_epoch,
                trainer_options=trainer_options, progress=progress,
            )  # fmt: skip
            if file is not None:
                DBN([rbm]).save(file, facts)
        rbms.append(rbm)
        first_epoch += settings.epochs
        if number < max(untrained, default=0):
            train, validation = store.above(rbm, train, number), propagate(rbm, validation)
        kind, size = settings.hidden, settings.n_hidden
    store.clear()
    return DBN(rbms)


def layer_file(directory: Path, number: int) -> Path:
    """Where layer ``number`` is kept once it is trained."""
    return directory / "checkpoints" / f"layer{number}.safetensors"


def train_layer(
    rbm: RBM,
    settings: LayerSettings,
    train: Images,
    validation: Images,
    *,
    number: int,
    of: int,
    seed: int,
    sampler: Callable[..., Sampler],
    optimizer: OptimizerFactory,
    precision: str,
    directory: Path | None,
    checkpoint_seconds: float,
    tracker: Tracker | None,
    first_epoch: int,
    trainer_options: dict[str, Any] | None,
    progress: bool,
) -> dict[str, Any]:
    """Train layer ``number`` of ``of`` in place.

    Returns:
        ``seconds`` it took, those before an interruption included, and the ``precision`` of its matrix products.
    """
    checkpoints = None if directory is None else directory / "checkpoints" / f"layer{number}"
    watch = Stopwatch()
    callbacks: list[Callback] = [watch]
    if checkpoints is not None:
        callbacks.append(LastCheckpoint(checkpoints, checkpoint_seconds))
    if progress:
        title = f"layer {number}/{of}  {rbm.n_visible}-{rbm.n_hidden}"
        callbacks.append(FitProgress(title, f"layer{number}/reconstruction_error", "reconstruction error"))
    with quiet():
        trainer = make_trainer(
            directory=checkpoints,
            max_epochs=settings.epochs,
            loggers=() if tracker is None else tracker.loggers(first_epoch),
            callbacks=callbacks,
            options=trainer_options,
        )
        device = trainer.strategy.root_device
        train, validation = train.to(device), validation.to(device)
        module = RBMTraining(
            rbm,
            settings,
            sampler(steps=settings.steps),
            seed=seed,
            layer=number,
            optimizer=optimizer,
            precision=precision,
            monitor_train=train.sample(MONITOR_IMAGES),
            monitor_validation=validation.sample(MONITOR_IMAGES),
        )
        loader = BlockLoader(
            train, batch_size=settings.batch_size, seed=seed, counters=(number,), **loader_share(trainer)
        )
        trainer.fit(module, loader, ckpt_path=resume_path(checkpoints), weights_only=True)
    rbm.cpu()
    return {"seconds": watch.seconds, "precision": module.precision}


def mean_features(images: Images) -> torch.Tensor:
    """Mean of every feature over the images, ``(n_features,)``, without decoding all of them at once."""
    total = sum((chunk.double().sum(0) for chunk in images.chunks()), torch.zeros(1))
    return (total / len(images)).float()
