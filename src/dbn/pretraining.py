"""Greedy layer-wise pretraining: one RBM after the other, each on the means of the one below."""

import inspect
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.callbacks import Callback

from dbn import flops
from dbn.augment import Augment
from dbn.augmented import AugmentedBelow
from dbn.checkpoints import LastCheckpoint
from dbn.data import DataSet, StreamedImages
from dbn.data.blocks import BlockLoader
from dbn.data.parallel import all_to, loader_of
from dbn.errors import SettingError
from dbn.growing import GrowingStack, Place
from dbn.inputs import check_visible
from dbn.loop import Stopwatch, fit, loader_context, make_trainer, quiet
from dbn.optimizer import SGD
from dbn.parallel import group_of, members_of, together
from dbn.precision import PRECISIONS
from dbn.pretraining_arguments import check_augment, check_data_set, check_layers, check_sampler
from dbn.progress import FitProgress
from dbn.samplers import ContrastiveDivergence, Sampler
from dbn.settings import check_choice, check_keys, check_number
from dbn.stack import DBN
from dbn.tracking import Tracker, loggers_of
from dbn.training import MONITOR_IMAGES, LayerSettings, OptimizerFactory, RBMTraining


def pretrain_stack(
    data: DataSet,
    layers: Sequence[LayerSettings],
    *,
    seed: int = 0,
    directory: Path | str | None = None,
    tracker: Tracker | None = None,
    **options: Any,
) -> DBN:
    """Pretrain one stack: :func:`pretrain_stacks` of a single place, with the same options and errors.

    Example:
        >>> layers = [LayerSettings(n_hidden=200), LayerSettings(n_hidden=100)]
        >>> stack = pretrain_stack(load_data(digits()), layers)
    """
    known = [name for name in inspect.signature(pretrain_stacks).parameters if name not in ("data", "layers", "places")]
    check_keys("pretrain_stack", options, known)
    directory = None if directory is None else Path(directory)
    return pretrain_stacks(data, layers, [Place(seed, directory, tracker)], directory=directory, **options)[0]


def pretrain_stacks(
    data: DataSet,
    layers: Sequence[LayerSettings],
    places: Sequence[Place],
    *,
    visible: str = "bernoulli",
    sampler: Callable[..., Sampler] = ContrastiveDivergence,
    optimizer: OptimizerFactory = SGD,
    precision: str = "auto",
    representations: str = "memory",
    augment: Augment | None = None,
    directory: Path | None = None,
    checkpoint_seconds: float = 10.0,
    trainer_options: dict[str, Any] | None = None,
    progress: bool = True,
) -> list[DBN]:
    """Pretrain stacks layer by layer, those of all places together, with one Trainer fit per layer.

    With directories, finished layers and the last epoch of the one at work are kept in ``checkpoints/``: calling again
    after an interruption goes on there and ends with the same bits as an uninterrupted run (on CPU).

    Each of several stacks has the starting weights, order of images and noise that it would have by itself. Only
    products may add up in another order, which turns a draw once in a while: statistically the stacks are the same,
    bit by bit they need not be. That holds for optimisers that look at each number by itself, such as SGD and Adam.

    Args:
        data: images; training sees all of them, labelled or not.
        layers: settings of each RBM, from the data upwards.
        places: seed, directory and tracker of each stack.
        visible: type of the visible units of the first RBM.
        sampler: called without arguments, makes a sampler for each layer, ``partial(ContrastiveDivergence, steps=3)``.
        optimizer: makes the optimiser.
        precision: of the matrix products: ``auto``, ``float32`` or ``bf16``, see :mod:`dbn.precision`.
        representations: of lower layers: ``memory``, ``compute`` or ``disk``, see :class:`Representations`.
        augment: deforms the images that layers train on, anew in every epoch; ``representations`` are then computed.
        directory: where to keep checkpoints within a layer; None keeps none.
        checkpoint_seconds: least time between two checkpoints within a layer; 0 for one after every epoch.
        trainer_options: the group ``trainer`` of the configuration.
        progress: show a bar, or a line per layer where there is no terminal.

    Returns:
        A stack for each place. Attributes of its training are in ``checkpoints/layer<k>.safetensors``.

    Raises:
        DataError: ``data`` is no data set, or its training, validation or test images are none that the visible units
            can take, see :func:`dbn.inputs.check_visible`; or images in a file cannot be read.
        SettingError: no layer, or another argument that cannot be used; several places for images in a file.
        DivergenceError: a layer met values that are not finite; its last good checkpoint stays.

    References:
        Hinton, Osindero & Teh (2006), Neural Computation 18:1527; Hinton & Salakhutdinov (2006), Science 313:504.
    """
    check_layers(layers)
    check_data_set(data)
    check_sampler(sampler)
    check_augment(augment)
    check_choice("precision", precision, PRECISIONS)
    check_number("checkpoint_seconds", checkpoint_seconds, low=0)
    for place in places:
        check_number("seed", place.seed, low=0, whole=True)
    if len(places) > 1 and isinstance(data.train, StreamedImages):
        raise SettingError(
            f"n_parallel_seeds={len(places)}: data={data.name} stays in its file, which is read for one seed at a "
            "time. Use n_parallel_seeds=1."
        )
    stacks = [GrowingStack(place, data, layers, visible, representations, augment) for place in places]
    check_visible(data, visible)
    first_epoch = 0
    for number, settings in enumerate(layers, start=1):
        waiting = [stack for stack in stacks if not stack.is_trained(number)]
        if waiting:
            checkpoints = None if directory is None else directory / "checkpoints" / f"layer{number}"
            seeds = together(checkpoints, [stack.seed for stack in waiting], [stack.seed for stack in stacks])
            train_layer(
                [stack for stack in stacks if stack.seed in seeds], settings, number=number, of=len(layers),
                sampler=sampler, optimizer=optimizer, precision=precision, checkpoints=checkpoints,
                checkpoint_seconds=checkpoint_seconds, first_epoch=first_epoch, trainer_options=trainer_options,
                progress=progress,
            )  # fmt: skip
        first_epoch += settings.epochs
        for stack in stacks:
            stack.go_up(number)
    for stack in stacks:
        stack.store.clear()
    return [DBN(stack.rbms) for stack in stacks]


def train_layer(
    stacks: Sequence[GrowingStack],
    settings: LayerSettings,
    *,
    number: int,
    of: int,
    sampler: Callable[..., Sampler],
    optimizer: OptimizerFactory,
    precision: str,
    checkpoints: Path | None,
    checkpoint_seconds: float,
    first_epoch: int,
    trainer_options: dict[str, Any] | None,
    progress: bool,
) -> None:
    """Train layer ``number`` of ``of`` of each stack.

    What is kept with a layer: the ``seconds`` it took, those before an interruption included, a stack's share of them;
    the ``precision`` of its matrix products; the ``flops`` of one stack; the seeds that trained ``together``, if there
    were several.
    """
    rbm = group_of([stack.new_rbm(number) for stack in stacks])
    watch = Stopwatch()
    callbacks: list[Callback] = [watch]
    if checkpoints is not None:
        callbacks.append(LastCheckpoint(checkpoints, checkpoint_seconds))
    if progress:
        several = f"{len(stacks)} x " if len(stacks) > 1 else ""
        title = f"layer {number}/{of}  {several}{rbm.n_visible}-{rbm.n_hidden}"
        callbacks.append(FitProgress(title, f"layer{number}/reconstruction_error", "reconstruction error"))
    with quiet():
        trainer = make_trainer(
            directory=checkpoints,
            max_epochs=settings.epochs,
            loggers=loggers_of([stack.place.tracker for stack in stacks], first_epoch),
            callbacks=callbacks,
            options=trainer_options,
        )
        device = trainer.strategy.root_device
        train = all_to([stack.to_load for stack in stacks], device)
        watched = all_to([stack.train for stack in stacks], device)
        validation = all_to([stack.validation for stack in stacks], device)
        module = RBMTraining(
            rbm,
            settings,
            sampler(),
            seeds=[stack.seed for stack in stacks],
            layer=number,
            optimizer=optimizer,
            precision=precision,
            prepare=prepare_of(stacks, device),
            monitor_train=[images.sample(MONITOR_IMAGES) for images in watched],
            monitor_validation=[images.sample(MONITOR_IMAGES) for images in validation],
        )
        loaders = [
            BlockLoader(
                images, batch_size=settings.batch_size, seed=stack.seed, counters=(number,), **loader_context(trainer)
            )
            for images, stack in zip(train, stacks, strict=True)
        ]
        fit(trainer, module, loader_of(loaders), None, checkpoints)
    sizes = stacks[0].sizes[: number + 1]
    operations = settings.epochs * flops.contrastive_divergence(sizes[-2], sizes[-1], module.sampler.products)
    if stacks[0].store.kind == "compute":
        operations += settings.epochs * flops.up(sizes[:-1])
    else:
        operations += flops.up(sizes[-3:-1])  # from the layer below, once
    facts: dict[str, Any] = {
        "seconds": watch.seconds / len(stacks),
        "precision": module.precision,
        "flops": operations * len(train[0]),
    }
    if len(stacks) > 1:
        facts["together"] = [stack.seed for stack in stacks]
    for stack, member in zip(stacks, members_of(rbm.cpu()), strict=True):
        stack.add(member, number, facts)


def prepare_of(stacks: Sequence[GrowingStack], device: torch.device) -> AugmentedBelow | None:
    """What the next layer's blocks go through first; nothing where images stay as they are."""
    first = stacks[0]
    if first.augment is None:
        return None
    below = [deepcopy(group_of([stack.rbms[k] for stack in stacks])).to(device) for k in range(len(first.rbms))]
    return AugmentedBelow(first.augment, first.shape, below)
