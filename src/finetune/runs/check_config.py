"""Validation of the settings of fine-tuning: types, ranges, known keys.

Settings that depend on the data are checked when the data have been read, before training.
"""

from collections.abc import Mapping
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from dbn.commands.command import task_overrides
from dbn.commands.configuration import resolve_config
from dbn.commands.factories import check_arguments, check_factory, target_of
from dbn.commands.texts import with_texts
from dbn.data.augment_settings import AUGMENT_CHECKS
from dbn.errors import ModelFileError, SettingError
from dbn.models.dbn import DBN
from dbn.pretraining.check_config import check_optimizer, check_pretraining, take_a_step
from dbn.runs.naming import has_convolution, kind_named
from dbn.settings import (
    Check,
    check_choice,
    check_flag,
    check_group,
    check_list,
    check_table,
    check_text,
    choice,
    format_value,
    optional,
    settings_of,
    within,
)
from finetune.baselines.run_baselines import BASELINES, RECOGNISERS
from finetune.networks.features import check_features
from finetune.networks.network import Network
from finetune.networks.written_blocks import check_blocks, check_kind_of_normalisation
from finetune.runs.check_arm import check_arm
from finetune.runs.fitting import check_task, check_unlabelled
from finetune.runs.mean_field_input import check_input
from finetune.runs.objective import check_objective
from finetune.runs.optuna_study import check_pruner
from finetune.runs.output_layer import check_output
from finetune.runs.search import check_search, searched
from finetune.runs.search_space import check_space
from finetune.runs.starting_networks import (
    NETWORK_KEYS,
    check_written_blocks,
    has_written_blocks,
    initialisation_of,
    network_options,
)
from finetune.tasks.learning_rate_schedule import arguments_of_length
from finetune.tasks.settings import TrainingSettings

TASKS = ("classifier", "autoencoder", "regression")
GROUPS = ("task", "init", "optimizer", "schedule", "augment", "space", "search", "arm", "network", "training")
STEPS_TRIED = 3
"""Steps of a schedule that are tried to check it."""


def check_composed(config: DictConfig) -> None:
    """Check a composed configuration of dbn-finetune.

    Raises:
        SettingError: it is invalid.
    """
    given = task_overrides() if HydraConfig.initialized() else ()
    if given:
        check_arm()
    check_finetuning(resolve_config(searched(config, given)))


def check_finetuning(config: Mapping[str, Any]) -> None:
    """Check the configuration of a run, or of several seeds that train together.

    Raises:
        SettingError: an invalid setting.
    """
    config = with_texts(config)
    for key in (*GROUPS, "unlabelled"):
        if key not in config:
            raise SettingError(f"{key}: this group is missing. Choose one, {key}=..., or leave ~{key} away.")
    words: dict[str, Check] = {
        "start": check_text,
        "unlabelled": optional(check_text),
        "dropout": optional(check_text),
        "normalisation": optional(check_text),
        "layers": optional(choice("convolutional")),
        "name": check_text,
    }
    check_table("arm", config["arm"], words, needed=["name"])
    check_layers_of_arm(config)
    optional(check_text)("recipe", config.get("recipe"))
    check_labels(config)
    check_pretraining(config)
    for key in ("base_name", "name"):  # after the settings that they refer to
        check_text(key, config.get(key), what="a name")
    check_list("swept", config.get("swept", []))
    for key in config.get("swept", []):
        check_text("swept", key, what="a list of keys")
    if config.get("continue_from") is not None:
        check_text("continue_from", config["continue_from"], what="a run's directory")
    if config.get("report") is not None:
        check_table("report", config["report"], {"margin": optional(within(low=0, above=True))})
    check_flag("pretrain_only", config.get("pretrain_only", False))
    check_flag("submit", config.get("submit", False))
    within(low=1, whole=True)("runs_per_job", config.get("runs_per_job", 1))
    within(low=1, whole=True)("runs_at_once", config.get("runs_at_once", 1))
    optional(within(low=0, above=True))("job_minutes", config.get("job_minutes"))
    if config.get("submit", False):
        raise SettingError(
            "submit=true: this is one run, not a sweep. Submit it with sbatch slurm/finetune.sbatch and the same "
            "arguments without submit, or add -m hydra/launcher=slurm_cpu."
        )
    check_features(config.get("features", 0))
    check_table("augment", config["augment"], AUGMENT_CHECKS)
    check_group("network", config["network"])
    check_network(config)
    settings = settings_of("training", TrainingSettings, config["training"])
    check_task_group(config["task"])
    check_task(settings, config["task"]["name"])
    check_unlabelled(config["unlabelled"], settings, config["task"]["name"])
    check_initialisation(config["init"])
    check_given_stack(config)
    check_written_blocks(config, initialisation_of(config))
    check_output(config, settings, initialisation_of(config))
    check_input(config, initialisation_of(config))
    check_optimizer("optimizer", config["optimizer"], settings.learning_rate)
    check_schedule(config["schedule"], config["optimizer"], settings)
    check_space(config["space"])
    check_search(config["search"])
    check_objective(config)
    check_pruner(config["search"]["pruner"], config)
    check_group("searched", config.get("searched", {}))


def check_layers_of_arm(config: Mapping[str, Any]) -> None:
    """Refuse an arm of convolutional layers whose stack was replaced by a dense one.

    Raises:
        SettingError: an experiment or the command line has done so.
    """
    stack = config.get("stack")
    if config["arm"].get("layers") is None or not isinstance(stack, Mapping) or has_convolution(stack.get("layers")):
        return
    raise SettingError(
        f"stack.layers={format_value(stack.get('layers'))}: the arm has convolutional layers, and these are dense: "
        "an experiment or the command line has replaced them. Use an experiment of convolutional networks, such as "
        "experiment=label_efficiency_convolutional, give stack.layers convolutional layers, or choose the arm without "
        "conv_ in its name."
    )


def check_given_stack(config: Mapping[str, Any]) -> None:
    """Refuse a file of a stack whose layers are not of the kind that the run is called after: that of ``stack.layers``.

    Raises:
        SettingError: one is convolutional, the other is dense.
        ModelFileError: it is no DBN file.
    """
    file = config["init"].get("stack")
    if file is None or has_written_blocks(config):  # these take no stack
        return
    try:
        header = DBN.describe(file)
    except ModelFileError as error:
        raise ModelFileError(f"init.stack: {error}") from None
    found = [kind_named(layer.get("connection")) == "convolution" for layer in header["layers"]]
    if any(found) == has_convolution(config["stack"]["layers"]):
        return
    raise SettingError(
        f"init.stack={file}: its layers are convolutional, and the run, {config['arm']['name']}, is called after those "
        "of stack.layers, which are dense. Add stack=convolutional: the file's layers take the place of its own."
        if any(found)
        else f"init.stack={file}: its layers are dense, and the run, {config['arm']['name']}, is called after those of "
        f"stack.layers, which are convolutional. {OTHER_ARM if config['arm'].get('layers') else DENSE_LAYERS}"
    )


OTHER_ARM = "Choose the arm without conv_ in its name."
DENSE_LAYERS = "Give dense ones, stack.layers=[200]: the file's layers take their place."


def check_network(config: Mapping[str, Any]) -> None:
    """Check the group ``network``; whether the normalisation fits is known with the layers.

    Raises:
        SettingError: an invalid setting.
    """
    checks: dict[str, Check] = {"name": check_text, "blocks": optional(check_blocks)}
    check_table("network", config["network"], checks, others=NETWORK_KEYS)
    options = network_options(config)
    normalisation = options.pop("normalisation", None)
    if normalisation is not None:
        check_kind_of_normalisation("network.normalisation", normalisation)
    Network.dense([1, 1], **options)


def check_labels(config: Mapping[str, Any]) -> None:
    """Check the groups ``labels`` and ``ladder``, by which reports arrange runs.

    Raises:
        SettingError: an invalid setting.
    """
    if config.get("labels") is not None:
        check_table("labels", config["labels"], {"name": check_text})
    if config.get("ladder") is not None:
        checks = {"step": within(low=0, whole=True), "what": check_text}
        check_table("ladder", config["ladder"], checks, needed=list(checks))


def check_task_group(task: Any) -> None:
    """Check the group ``task``.

    Raises:
        SettingError: an invalid setting.
    """
    check_table("task", task, {"name": choice(*TASKS), "baselines": check_list}, needed=["name", "baselines"])
    for name in task["baselines"]:
        if task["name"] == "regression":
            raise SettingError(f"task.baselines=[{name}]: regression has none. Use task.baselines=[].")
        check_choice("task.baselines", name, BASELINES if task["name"] == "autoencoder" else RECOGNISERS)


def check_initialisation(init: Any) -> None:
    """Check the group ``init``: the file ``stack``, and the arguments of the initialisation.

    Raises:
        SettingError: an invalid setting.
    """
    check_group("init", init)
    optional(lambda key, value: check_text(key, value, what="a DBN file"))("init.stack", init.get("stack"))
    own = {key: value for key, value in init.items() if key not in ("stack", "content")}
    check_factory("init", own, lambda initialise: initialise.needs_stack, partial=False)


def check_schedule(
    schedule: Any, optimizer: Mapping[str, Any], training: TrainingSettings, steps_per_epoch: int = 1000
) -> None:
    """Check the group ``schedule`` by taking steps with the configured optimiser.

    Args:
        schedule: the group.
        optimizer: the group ``optimizer``, already checked.
        training: settings with epochs and learning rate.
        steps_per_epoch: optimiser steps per epoch; the default is a guess, for checks before the data are known.

    Raises:
        SettingError: an invalid setting.
    """
    needed = ("factory", "interval", "length")
    check_table("schedule", schedule, {"interval": choice("step", "epoch")}, needed=needed, others=needed)
    check_group("schedule.factory", schedule["factory"])
    target, name = target_of("schedule.factory", schedule["factory"]), schedule["length"]
    length = training.epochs * (steps_per_epoch if schedule["interval"] == "step" else 1)
    if name is not None:
        check_text("schedule.length", name, what="the name of the schedule's argument for its length")
        try:
            check_arguments("schedule", target, {name: length})
        except SettingError as error:
            raise SettingError(
                f"schedule.length={format_value(name)}: {target.__name__} has no such argument."
            ) from error

    def attempt(factory: Any) -> None:
        moved = take_a_step(hydra.utils.instantiate(optimizer), training.learning_rate)
        scheduler = factory(moved, **arguments_of_length(factory, name, length))
        for _ in range(min(STEPS_TRIED, length) - 1):
            moved.step()
            scheduler.step()

    if name is None:  # otherwise check_factory would report other settings for a missing length
        try:
            attempt(hydra.utils.instantiate(schedule["factory"]))
        except (TypeError, ValueError) as error:
            if "missing" in str(error) or "must define" in str(error):
                raise SettingError(
                    f"schedule.length=null: it must name the argument for the length. {error}"
                ) from error
    check_factory("schedule.factory", schedule["factory"], attempt)
