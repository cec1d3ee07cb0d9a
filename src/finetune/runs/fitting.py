"""Training of networks: module, callbacks, Trainer, choice of weights; for one network or several together."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
from pytorch_lightning.callbacks import Callback

from dbn.commands.factories import check_factory
from dbn.data import DataSet
from dbn.data.augment import Augment
from dbn.data.images import ImageSet
from dbn.errors import SettingError
from dbn.fitting.checkpoints import LastCheckpoint
from dbn.fitting.progress import FitProgress
from dbn.fitting.stopwatch import Stopwatch
from dbn.models import flops
from dbn.runs.tracking import Tracker, loggers_of
from dbn.settings import format_value, settings_of
from finetune.networks.group import NetworkGroup, group_networks
from finetune.networks.network import Network
from finetune.networks.targets import Targets
from finetune.runs.continued_run import Earlier, copy_checkpoint
from finetune.runs.early_stopping import BestMembers, PatientStopping, best_checkpoint, restore_best
from finetune.runs.fit_module import fit_module
from finetune.runs.pruning import Pruning
from finetune.runs.trajectory import Trajectory
from finetune.tasks import Autoencoder, Classifier, FineTuning, HybridClassifier, Regression, SemiSupervised
from finetune.tasks.check_data import has_real_outputs
from finetune.tasks.learning_rate_schedule import Schedule
from finetune.tasks.semi_supervised import UseOfUnlabelled
from finetune.tasks.settings import TrainingSettings


def check_training(settings: TrainingSettings, data: DataSet, n_networks: int) -> None:
    """Check settings that depend on the data or on the number of networks.

    Raises:
        SettingError: there are no validation images to choose weights or to stop by; early stopping of several
            networks; or ``trajectory`` is larger than the number of images.
    """
    if settings.trajectory > len(data.validation_or_train):
        raise SettingError(
            f"training.trajectory={settings.trajectory}: data={data.name} has {len(data.validation_or_train)} "
            f"{'validation' if len(data.validation) else 'training'} images to record outputs for. Ask for fewer."
        )
    if not len(data.validation):
        if settings.weights == "best":
            raise SettingError(
                f"training.weights=best: data={data.name} has no validation images to choose weights by. "
                "Use training.weights=last, or data.validation=0.2."
            )
        if settings.patience is not None:
            raise SettingError(
                f"training.patience={settings.patience}: there are no validation images to stop by. "
                "Use training.patience=null, or data.validation=0.2."
            )
    if settings.patience is not None and n_networks > 1:
        raise SettingError(
            f"training.patience={settings.patience}: {n_networks} seeds that train together stop together. "
            "Use training.patience=null, or n_parallel_seeds=1."
        )


def check_task(settings: TrainingSettings, task: str) -> None:
    """Refuse settings that do not apply to a task.

    Raises:
        SettingError: a classifier's setting is given for another task.
    """
    if task == "classifier":
        return
    a_task = "an autoencoder" if task == "autoencoder" else "regression"
    if settings.class_weights is not None:
        raise SettingError(
            f"training.class_weights={settings.class_weights}: task={task} has no classes. Leave it at null."
        )
    if settings.mixup is not None:
        raise SettingError(f"training.mixup={settings.mixup}: {a_task} has no labels to mix. Leave it at null.")
    if settings.label_smoothing or settings.trajectory or settings.loss != "cross_entropy":
        raise SettingError(
            f"training.label_smoothing={settings.label_smoothing}, training.trajectory={settings.trajectory}, "
            f"training.loss={settings.loss}: {a_task} has no class probabilities. Leave them at 0, 0 and cross_entropy."
        )
    if settings.head_epochs and task == "autoencoder":
        raise SettingError(
            f"training.head_epochs={settings.head_epochs}: an autoencoder has no new output layer. Leave it at 0."
        )


def check_unlabelled(unlabelled: Mapping[str, Any] | None, settings: TrainingSettings, task: str) -> None:
    """Check the group ``unlabelled`` by making its use of the images.

    Raises:
        SettingError: an invalid setting, or one that does not apply to the task or its loss.
    """
    if unlabelled is None:
        return
    made: list[UseOfUnlabelled] = []
    check_factory("unlabelled", unlabelled, made.append, partial=False)
    use = made[-1]
    if not isinstance(use, UseOfUnlabelled):
        raise SettingError(
            f"unlabelled._target_={format_value(unlabelled['_target_'])}: it is no subclass of UseOfUnlabelled."
        )
    if task != "classifier":
        raise SettingError(f"unlabelled={type(use).__name__}: task={task} uses no labels. Use unlabelled=none.")
    if settings.loss != "cross_entropy":
        raise SettingError(
            f"unlabelled={type(use).__name__}, training.loss={settings.loss}: it needs cross_entropy. Use "
            "training.loss=cross_entropy, or unlabelled=none."
        )


def make_module(
    network: Network,
    data: DataSet | Sequence[DataSet],
    settings: TrainingSettings,
    config: Mapping[str, Any],
    seeds: Sequence[int],
    epochs_before: int = 0,
) -> FineTuning:
    """The LightningModule of the task.

    Args:
        network: a network, or a group of them.
        data: its data set; of a group that of each member.
        settings: training settings.
        config: of the run.
        seeds: of the network, or of each member.
        epochs_before: those of the run that this one continues.
    """
    check_task(settings, config["task"]["name"])
    sets = [data] if isinstance(data, DataSet) else list(data)
    data = sets[0]
    augment = settings_of("augment", Augment, config["augment"])
    schedule = settings_of("schedule", Schedule, hydra.utils.instantiate(config["schedule"]))
    options: dict[str, Any] = {
        "optimizer": hydra.utils.instantiate(config["optimizer"]),
        "schedule": schedule,
        "steps_per_epoch": -(-len(data.train) // settings.batch_size),
        "augment": None if augment.is_nothing else augment,
        "shape": data.shape,
        "scaling": [own.scaling for own in sets],
        "seeds": seeds,
        "precision": config["precision"],
        "epochs_before": epochs_before,
    }
    if config["unlabelled"] is not None:
        return SemiSupervised(network, settings, use=hydra.utils.instantiate(config["unlabelled"]), **options)
    if settings.generative:
        return HybridClassifier(network, settings, **options)
    if config["task"]["name"] == "classifier":
        return Classifier(network, settings, **options)
    if config["task"]["name"] == "regression":
        return Regression(network, settings, targets=[targets_of(own) for own in sets], **options)
    return Autoencoder(network, settings, real=has_real_outputs(config, data), **options)


def targets_of(data: DataSet) -> Targets:
    """Means and deviations of the targets over the training rows."""
    assert data.train.labels is not None  # the network would have no outputs
    return Targets.of(data.targets, data.train.labels.cpu())


def fit_networks(
    networks: Sequence[Network],
    data: Sequence[DataSet],
    settings: TrainingSettings,
    configs: Sequence[Mapping[str, Any]],
    folder: Path,
    trackers: Sequence[Tracker],
    trajectory: Trajectory | None = None,
    earlier: Earlier | None = None,
    unlabelled: Sequence[ImageSet] = (),
    pruning: Pruning | None = None,
) -> list[tuple[FineTuning, dict[str, Any]]]:
    """Train networks in place, several of them together.

    Args:
        networks: networks with their initial weights.
        data: data set of each network, with as many training and validation images each.
        settings: training settings.
        configs: configuration of each run; they differ in their seeds only.
        folder: folder for ``checkpoints/``.
        trackers: tracker of each run.
        trajectory: records outputs during training.
        earlier: run that this one continues, or None.
        unlabelled: unlabelled images of each network, where the configuration uses them.
        pruning: stops a trial that is behind others.

    Returns:
        For each network its module with the chosen weights, and facts on its training for ``result.json``.

    Raises:
        SettingError: an invalid setting.
        DivergenceError: a network's weights became infinite or NaN.
    """
    config, n, n_validation = configs[0], len(networks), len(data[0].validation)
    seeds = [own["seed"] for own in configs]
    checkpoints = folder / "checkpoints"
    network = group_networks(networks)
    epochs_before = 0 if earlier is None else earlier.epochs
    module = make_module(network, data, settings, config, seeds, epochs_before)
    if earlier is not None:
        copy_checkpoint(
            earlier, folder, fresh_schedule=module.schedule is not None and module.schedule.length is not None
        )
    monitor = f"validation/{module.monitor}"
    stopwatch = Stopwatch()
    callbacks: list[Callback] = [stopwatch]
    best = BestMembers(monitor) if n > 1 else best_checkpoint(checkpoints, monitor)
    if settings.weights == "best":
        callbacks.append(best)
    if settings.patience is not None:
        callbacks.append(PatientStopping(monitor, patience=settings.patience, mode="min"))
    callbacks += [own for own in (pruning, trajectory) if own is not None]
    callbacks.append(LastCheckpoint(checkpoints, config["checkpoint_seconds"]))
    if config["progress"]:
        metric = monitor if n_validation else "train/loss"
        seed = f"seed {seeds[0]}" if n == 1 else f"{n} seeds"
        title = f"{config['name']} {seed}  {'-'.join(map(str, network.sizes))}"
        callbacks.append(
            FitProgress(
                title,
                metric,
                metric.replace("/", " ").replace("_", " "),
                percent=metric.endswith(("/error", "/balanced_error")),
            )
        )
    trainer = fit_module(
        module, [own.train for own in data], [own.validation for own in data], unlabelled=unlabelled,
        checkpoints=checkpoints, loggers=loggers_of(trackers), callbacks=callbacks, options=config["trainer"],
    )  # fmt: skip
    facts = {
        "seconds": stopwatch.seconds / n,
        "other_load": stopwatch.other_load,
        "flops": operations(network.operations, trainer.current_epoch, settings) * len(data[0].train)
        + module.further_operations(trainer.current_epoch * len(data[0].train)),
        "trained_together": n,
        "epochs": trainer.current_epoch,
        "precision": [choice.precision for choice in module.precision_choices],
        "precision_decided_by": [choice.decided_by for choice in module.precision_choices],
    }
    if pruning is not None:
        facts["pruned"] = pruning.stopped
    best_epochs = restore_best(module, best) if settings.weights == "best" else []
    module.cpu()
    if isinstance(network, NetworkGroup):
        network.copy_to_members()
        modules = [make_module(*each, settings, config, [0]) for each in zip(networks, data, strict=True)]
    else:
        modules = [module]
    epochs: Sequence[int | None] = best_epochs or [None] * n
    return [(own, {**facts, "best_epoch": epoch}) for own, epoch in zip(modules, epochs, strict=True)]


def operations(multiplications: Sequence[int], epochs: int, settings: TrainingSettings) -> int:
    """Floating-point operations per image of ``epochs`` epochs of training, see :mod:`dbn.models.flops`."""
    head = min(settings.head_epochs, epochs)
    return head * flops.backpropagation(multiplications, 1) + (epochs - head) * flops.backpropagation(multiplications)
