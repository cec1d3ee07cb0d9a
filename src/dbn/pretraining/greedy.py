"""Greedy layer-wise pretraining: one layer after the other, each on the hidden means of the layer below."""

import inspect
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.callbacks import Callback

from dbn.data import DataSet, StreamedImages
from dbn.data.augment import Augment
from dbn.data.block_loader import BlockLoader
from dbn.data.check_augment import check_augmentable
from dbn.data.group_loader import join_loaders, move_all
from dbn.errors import SettingError
from dbn.fitting.checkpoints import LastCheckpoint
from dbn.fitting.progress import FitProgress
from dbn.fitting.stopwatch import Stopwatch
from dbn.fitting.trainer import fit_resumably, loader_context, make_trainer, quiet
from dbn.machine.optimizer import SGD
from dbn.machine.precision import PRECISIONS
from dbn.models import flops
from dbn.models.dbn import DBN
from dbn.models.layer import Layer, group_layers
from dbn.pretraining.augmented import AugmentedBelow
from dbn.pretraining.check_arguments import check_augment, check_data_sets, check_layers, check_method
from dbn.pretraining.check_data import check_visible, visible_units_of
from dbn.pretraining.check_patience import check_patience
from dbn.pretraining.contrastive import RBMPretraining
from dbn.pretraining.fit import MONITORED_IMAGES
from dbn.pretraining.growing import GrowingStack, Pretrained, StackRun
from dbn.pretraining.joint import JOINT, JointLayers
from dbn.pretraining.layer_training import OptimizerFactory
from dbn.pretraining.method import PretrainingMethod
from dbn.pretraining.settings import LayerSettings
from dbn.runs.seeds import seeds_to_resume
from dbn.runs.tracking import Tracker, loggers_of
from dbn.settings import check_choice, check_keys, check_number


def pretrain_stack(
    data: DataSet,
    layers: Sequence[LayerSettings],
    *,
    seed: int = 0,
    directory: Path | str | None = None,
    tracker: Tracker | None = None,
    **options: Any,
) -> DBN:
    """Pretrain one stack: :func:`pretrain_stacks` for a single run, with the same options and errors.

    Example:
        >>> from dbn.data import digits, load_data
        >>> from dbn.pretraining import LayerSettings, pretrain_stack
        >>> layers = [LayerSettings(n_hidden=n, epochs=2) for n in (50, 20)]
        >>> pretrain_stack(load_data(digits()), layers, progress=False).sizes
        [64, 50, 20]
    """
    known = [name for name in inspect.signature(pretrain_stacks).parameters if name not in ("data", "layers", "runs")]
    check_keys("pretrain_stack", options, known)
    directory = None if directory is None else Path(directory)
    runs = [StackRun(seed, directory, tracker)]
    return pretrain_stacks(data, layers, runs, directory=directory, **options)[0].stack


def pretrain_stacks(
    data: DataSet | Sequence[DataSet],
    layers: Sequence[LayerSettings],
    runs: Sequence[StackRun],
    *,
    visible: str | Mapping[str, Any] = "bernoulli",
    method: PretrainingMethod | None = None,
    optimizer: OptimizerFactory = SGD,
    precision: str = "auto",
    representations: str = "memory",
    augment: Augment | None = None,
    directory: Path | None = None,
    checkpoint_seconds: float = 10.0,
    trainer_options: dict[str, Any] | None = None,
    progress: bool = True,
) -> list[Pretrained]:
    """Pretrain the stacks of all runs together, layer by layer, with one Trainer fit per layer.

    With directories, finished layers and checkpoints of the current one are kept in ``checkpoints/``: calling again
    after an interruption resumes, and the result is bit-equal to an uninterrupted run (on CPU).

    Each stack has the initial weights, order of images and noise that it would have alone. Only the order of summation
    in products may differ, which changes a few samples: stacks trained together and alone are statistically, not bit by
    bit, equal. This holds for elementwise optimisers, such as SGD and Adam.

    Args:
        data: images, for all stacks the same or for each its own (of one shape, with as many training images); all
            training images are used, labelled or not.
        layers: settings of each layer, from the data upwards.
        runs: seed, directory and tracker of each stack.
        visible: type of the visible units of the first layer, see :class:`LayerSettings`; ``as_data``: as the columns
            of a table are.
        method: pretraining method; None: RBMs by CD-1, :class:`dbn.pretraining.contrastive.RBMPretraining`.
        optimizer: factory of the optimiser.
        precision: of the products: ``auto``, ``float32``, ``bf16`` or ``tf32``, see :mod:`dbn.machine.precision`.
        representations: of lower layers: ``memory``, ``compute`` or ``disk``, see
            :class:`~dbn.pretraining.representations.Representations`.
        augment: deformation of the training images, drawn in every epoch; implies ``representations="compute"``.
        directory: folder for checkpoints within a layer; None: no checkpoints.
        checkpoint_seconds: minimum time between two checkpoints within a layer; 0: one after every epoch.
        trainer_options: the group ``trainer`` of the configuration.
        progress: show a bar, or without a terminal a line per layer.

    Returns:
        For each run its stack, and facts on the training of each layer.

    Raises:
        DataError: ``data`` is no data set, or its images do not match the visible units, see
            :func:`dbn.pretraining.check_data.check_visible`; or images in a file cannot be read.
        SettingError: an invalid argument, several runs with streamed images, ``patience`` with nothing to watch, or an
            augmentation that the images cannot have.
        DivergenceError: a layer's parameters became infinite or NaN; its last checkpoint is kept.

    References:
        Hinton, Osindero & Teh (2006), Neural Computation 18:1527; Hinton & Salakhutdinov (2006), Science 313:504.
    """
    check_layers(layers)
    sets = check_data_sets(data, len(runs))
    check_method(method)
    check_augment(augment)
    if augment is not None and sets[0].columns is not None:
        raise SettingError(f"augment={augment}: data={sets[0].name} is a table, whose rows are no images. Use None.")
    if augment is not None:
        check_augmentable(sets[0], augment, "augment")
    check_choice("precision", precision, PRECISIONS)
    check_number("checkpoint_seconds", checkpoint_seconds, low=0)
    for run in runs:
        check_number("seed", run.seed, low=0, whole=True)
    if len(runs) > 1 and isinstance(sets[0].train, StreamedImages):
        raise SettingError(
            f"n_parallel_seeds={len(runs)}: data={sets[0].name} stays in its file, which is read for one seed at a "
            "time. Use n_parallel_seeds=1."
        )
    method = RBMPretraining() if method is None else method
    visible = visible_units_of(visible, sets[0])  # the others are splits of the same images
    check_visible(sets[0], visible)
    method.check_data(sets[0], layers)
    layers = method.settings_of(layers)
    stacks = [
        GrowingStack(run, method, own, layers, visible, representations, augment)
        for run, own in zip(runs, sets, strict=True)
    ]
    check_patience(layers, method, visible, sets)
    for number, stage in enumerate(stacks[0].stages, start=1):
        waiting = [stack for stack in stacks if not stack.is_trained(number)]
        if waiting:
            checkpoints = None if directory is None else directory / "checkpoints" / f"layer{number}"
            seeds = seeds_to_resume(checkpoints, [stack.seed for stack in waiting], [stack.seed for stack in stacks])
            train_layer(
                [stack for stack in stacks if stack.seed in seeds], stage[0], number=number, of=len(layers),
                optimizer=optimizer, precision=precision, checkpoints=checkpoints,
                checkpoint_seconds=checkpoint_seconds, trainer_options=trainer_options, progress=progress,
            )  # fmt: skip
        for stack in stacks:
            stack.finish_layer(number)
    return [stack.finished() for stack in stacks]


def train_layer(
    stacks: Sequence[GrowingStack],
    settings: LayerSettings,
    *,
    number: int,
    of: int,
    optimizer: OptimizerFactory,
    precision: str,
    checkpoints: Path | None,
    checkpoint_seconds: float,
    trainer_options: dict[str, Any] | None,
    progress: bool,
) -> None:
    """Train stage ``number`` for all stacks, and add its layers to each with the facts of :class:`Pretrained`."""
    computing = Stopwatch()
    each, method = [stack.new_layers(number) for stack in stacks], stacks[0].method
    if method.is_closed_form:
        add_closed_form(stacks, each, number, computing)
        return
    is_last = number == stacks[0].last
    is_joint = method.is_joint or is_last
    layer: Any = JointLayers.group(each) if is_joint else group_layers([layers[0] for layers in each])
    shapes = (each[0][0].input_shape, *(own.output_shape for own in each[0]))
    sizes = [torch.Size(shape).numel() for shape in shapes]
    stopwatch = Stopwatch()
    callbacks: list[Callback] = [stopwatch]
    if checkpoints is not None:
        callbacks.append(LastCheckpoint(checkpoints, checkpoint_seconds))
    if progress:
        several = f"{len(stacks)} x " if len(stacks) > 1 else ""
        which = f"layers 1 to {of}" if is_joint else f"layer {number}/{of}"
        title = f"{which}  {several}{'-'.join(map(str, sizes))}"
        metric = method.progress_metric
        stage = JOINT if is_last else f"layer{number}"
        callbacks.append(FitProgress(title, f"{stage}/{metric}", metric.replace("_", " ")))
    with quiet():
        trainer = make_trainer(
            directory=checkpoints,
            max_epochs=settings.epochs,
            loggers=loggers_of([stack.run.tracker for stack in stacks], [stack.epochs for stack in stacks]),
            callbacks=callbacks,
            options=trainer_options,
        )
        device = trainer.strategy.root_device
        moved = move_all(
            [images for stack in stacks for images in (stack.to_load, stack.train, stack.validation)], device
        )
        train, monitored, validation = moved[::3], moved[1::3], moved[2::3]
        module = method.training(
            layer,
            settings,
            seeds=[stack.seed for stack in stacks],
            number=number,
            optimizer=optimizer,
            precision=precision,
            prepare=prepare_of(stacks, number, device),
            monitored=[images.sample(MONITORED_IMAGES) for images in monitored],
            monitored_validation=[images.sample(MONITORED_IMAGES) for images in validation],
        )
        module.check_weights(train[0])
        loaders = [
            BlockLoader(
                images, batch_size=settings.batch_size, seed=stack.seed, counters=(number,), **loader_context(trainer)
            )
            for images, stack in zip(train, stacks, strict=True)
        ]
        fit_resumably(trainer, module, join_loaders(loaders), None, checkpoints)
    lower = [] if is_last else stacks[0].layers
    below, computed = [own.operations for own in lower], stacks[0].store.kind == "compute"
    shared: dict[str, Any] = {
        "seconds": stopwatch.seconds / len(stacks),
        "other_load": stopwatch.other_load,
        "precision": module.precision,
        "precision_decided_by": module.precision_decided_by,
    }
    if len(stacks) > 1:
        shared["together"] = [stack.seed for stack in stacks]
    for k, (stack, member) in enumerate(zip(stacks, layer.cpu().members(), strict=True)):
        epochs, reason = module.ended(k)
        for_inputs = epochs * flops.forward(below) if computed else flops.forward(below[-1:])
        facts: dict[str, Any] = {
            **shared,
            "flops": (module.flops_of(epochs) + for_inputs) * len(train[0]),
            "epochs": epochs,
            "training": {"epochs": epochs, "reason": reason},
            "warnings": list(module.warnings[k].values()),
        }
        stack.add(member.layers if isinstance(member, JointLayers) else [member], number, facts)


def add_closed_form(
    stacks: Sequence[GrowingStack], each: Sequence[Sequence[Layer]], number: int, stopwatch: Stopwatch
) -> None:
    """Add layers to each stack that their method has computed, with the facts of :class:`Pretrained`."""
    for stack, layers in zip(stacks, each, strict=True):
        below = flops.forward([own.operations for own in stack.layers[-1:]]) * len(stack.train)
        facts: dict[str, Any] = {
            "seconds": stopwatch.seconds / len(stacks),
            "other_load": stopwatch.other_load,
            "precision": "float32",
            "precision_decided_by": f"{type(stack.method).__name__} computes its layers in float64",
            "flops": below + sum(stack.method.closed_form_flops(layer, len(stack.train)) for layer in layers),
            "epochs": 0,
            "training": {"epochs": 0, "reason": "computed in closed form"},
            "warnings": [],
        }
        stack.add(layers, number, facts)


def prepare_of(stacks: Sequence[GrowingStack], number: int, device: torch.device) -> AugmentedBelow | None:
    """Augmentation and propagation of the blocks of stage ``number``; None without augmentation."""
    first = stacks[0]
    if first.augment is None:
        return None
    lower = 0 if number == first.last else len(first.layers)
    below: list[Layer] = [
        deepcopy(group_layers([stack.layers[k] for stack in stacks])).to(device) for k in range(lower)
    ]
    scalings = [stack.scaling.to(device) for stack in stacks]
    return AugmentedBelow(first.augment, first.scaling.shape, below, scalings)
