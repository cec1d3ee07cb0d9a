"""Validation of the settings that both stages share: types, ranges, known keys.

Settings that depend on the data, such as the number of labels, are checked when the data have been read.
"""

from collections.abc import Mapping
from typing import Any

import hydra
import torch
from omegaconf import DictConfig
from torch import nn

from dbn.commands.cluster import check_cluster
from dbn.commands.configuration import resolve_config
from dbn.commands.factories import check_factory, target_of
from dbn.commands.texts import with_texts
from dbn.data.augment_settings import check_augment_group
from dbn.data.source import COUNTS
from dbn.data.sources.arrays import ROLES
from dbn.data.sources.newsgroups import VALUES
from dbn.data.sources.picture_file import background_colour
from dbn.data.split_settings import AS_TRAINING
from dbn.data.tables.find_columns import KINDS
from dbn.errors import SettingError
from dbn.fitting.trainer import TRAINER_CHECKS
from dbn.machine.precision import PRECISIONS
from dbn.pretraining.check_arguments import check_method
from dbn.pretraining.check_data import AS_DATA
from dbn.pretraining.check_effect import check_own_settings, check_use_of_settings
from dbn.pretraining.from_config import layers_of, method_of, visible_of
from dbn.pretraining.representations import REPRESENTATIONS
from dbn.pretraining.stack_memory import check_stack_memory
from dbn.runs.directories import check_run_location
from dbn.runs.seeds import LARGEST_GROUP
from dbn.runs.wandb_settings import check_wandb
from dbn.settings import (
    Check,
    check_choice,
    check_flag,
    check_group,
    check_number,
    check_table,
    check_text,
    choice,
    format_value,
    optional,
    rename_hint,
    within,
)


def check_share(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` is a number of images or a fraction of them."""
    check_number(key, value, low=0)
    if isinstance(value, float) and not value < 1:
        raise SettingError(f"{key}={value}: it must be a whole number of images, or a fraction below 1.")


def check_maximum(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` is a positive number, or says that values are counts."""
    if value != COUNTS:
        if isinstance(value, str):
            raise SettingError(
                f"{key}={value}: use the stored value that stands for 1, {COUNTS} where values are counts."
            )
        check_number(key, value, low=0, above=True)


def check_size(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` is a number of pixels, or height and width."""
    for side in value if isinstance(value, list | tuple) and len(value) == 2 else [value]:
        check_number(key, side, low=1, whole=True)


def check_background(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` is a colour, see :func:`background_colour`."""
    background_colour(value, key)


def check_labels_name(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` is the name of an array, None, or (for folders) a boolean."""
    if value is not None and not isinstance(value, bool):
        check_text(key, value, what="the name of an array")


def check_target(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` is the name of a column, or a list of names."""
    for name in value if isinstance(value, list | tuple) and value else [value]:
        check_text(key, name, what="the name of a column, or a list of names")


def check_columns(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` maps names of columns to kinds."""
    check_group(key, value)
    for name, kind in value.items():
        check_choice(f"{key}.{name}", kind, KINDS)


def check_n_validation(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` is ``as_training`` or a number of images."""
    if value != AS_TRAINING:
        if not isinstance(value, int | float):
            raise SettingError(
                f"{key}={format_value(value)}: use {AS_TRAINING}, a number of validation images, or null for all."
            )
        check_number(key, value, low=1, whole=True)


RUN_CHECKS: dict[str, Check] = {
    "study": check_text,
    "seed": within(low=0, whole=True),
    "n_parallel_seeds": within(low=1, high=LARGEST_GROUP, whole=True),
    "precision": choice(*PRECISIONS),
    "progress": check_flag,
    "checkpoint_seconds": within(low=0),
}
"""Checks of top-level settings that every run has, besides its name."""

DATA_CHECKS: dict[str, Check] = {
    "name": check_text,
    "split_seed": optional(within(low=0, whole=True)),
    "n_labelled": optional(within(low=1, whole=True)),
    "validation": optional(check_share),
    "test": optional(check_share),
    "n_validation": optional(check_n_validation),
    "standardise": check_flag,
    "weights": optional(check_text),
    "representations": choice(*REPRESENTATIONS),
    "visible": choice(AS_DATA),
}
"""Checks of settings that every data set may have."""

SOURCE_CHECKS: dict[str, Check] = {
    "name": check_text,
    "root": optional(lambda key, value: check_text(key, value, what="a folder")),
    "path": optional(lambda key, value: check_text(key, value, what="a file or folder")),
    "maximum": optional(check_maximum),
    "window": within(low=0, above=True),
    "grey": check_flag,
    "split": choice("person", "image"),
    "values": choice(*VALUES),
    "size": optional(check_size),
    "background": check_background,
    "images_last": optional(check_flag),
    "images": check_text,
    "labels": check_labels_name,
    **{role: optional(check_text) for role in ROLES if role not in ("images", "labels")},
    "weights": optional(check_text),
    "target": optional(check_target),
    "columns": check_columns,
}
"""Checks of settings of the readers of data."""


def check_composed(config: DictConfig) -> None:
    """Check a composed configuration of dbn-pretrain.

    Raises:
        SettingError: it is invalid.
    """
    check_pretraining(resolve_config(config))


def check_pretraining(config: Mapping[str, Any]) -> None:
    """Check the settings that determine how a stack is pretrained and where it is written.

    Raises:
        SettingError: an invalid setting.
    """
    config = with_texts(config)
    for key in ("paths", "data", "stack", "sampler", "method", "trainer", "logger"):
        if key not in config:
            raise SettingError(f"{key}: this group is missing. Choose one, {key}=..., or leave ~{key} away.")
    for key in RUN_CHECKS:
        if key not in config:
            raise SettingError(f"{key}: this setting is missing. Give it a value, {key}=..., or leave ~{key} away.")
    check_run_location(config)
    for key, check in RUN_CHECKS.items():
        check(key, config[key])
    optional(check_flag)("snapshot", config.get("snapshot"))
    check_cluster("cluster", config.get("cluster", {}))
    check_data(config["data"])
    check_stack(config["stack"], config["n_parallel_seeds"])
    check_factory("sampler", config["sampler"], lambda sampler: sampler())
    check_factory("method", config["method"], check_method, partial=False)
    method = method_of(config)
    layers = layers_of(config["stack"])
    for layer in layers:
        method.check_settings(layer)
    if layers:
        method.in_place(layers)
    check_table("trainer", config["trainer"], TRAINER_CHECKS)
    check_table("logger", config["logger"], {"wandb": optional(check_wandb)}, needed=["wandb"])


def check_data(data: Any) -> None:
    """Check the group ``data`` and the arguments of its reader.

    Raises:
        SettingError: an invalid setting.
    """
    check_group("data", data)
    check_group("data.source", data.get("source"))
    target_of("data.source", data["source"])
    own = {key for key in data["source"] if not key.startswith("_")}
    if data.get("weights") is not None and "weights" not in own:
        raise SettingError(
            f"data.weights={data['weights']}: data={data.get('name')} has no weights of its images. Use "
            "null; data=npz, mat, memmap and table read them from your file."
        )
    checks = {**DATA_CHECKS, **{key: SOURCE_CHECKS[key] for key in own & SOURCE_CHECKS.keys()}}
    check_table("data", data, checks, needed=["name", "representations"], others={*own, "source", "content"})
    check_table(
        "data.source", data["source"], {key: SOURCE_CHECKS[key] for key in own & SOURCE_CHECKS.keys()},
        others=data["source"],
    )  # fmt: skip


def check_stack(stack: Any, n_together: int) -> None:
    """Check the group ``stack``.

    Raises:
        SettingError: an invalid setting, or the layers do not fit into memory.
    """
    needed = ["visible", "layers", "every_layer", "upper_layers", "optimizer", "augment"]
    checks: dict[str, Check] = {"every_layer": check_group, "upper_layers": check_group}
    check_table("stack", stack, checks, needed=needed, others=needed)
    visible_of(stack)
    layers = layers_of(stack)
    check_stack_memory(layers, None, n_together)
    check_augment_group("stack.augment", stack["augment"])
    check_optimizer("stack.optimizer", stack["optimizer"], layers[0].learning_rate if layers else 0.1)
    check_own_settings(stack["optimizer"])
    factory = hydra.utils.instantiate(stack["optimizer"])
    for layer in layers:
        check_use_of_settings(take_a_step(factory, layer.learning_rate), layer)


def check_optimizer(group: str, settings: Any, learning_rate: float) -> None:
    """Check a group that makes optimisers; the learning rate is not one of its settings.

    Raises:
        SettingError: an invalid setting, or ``lr``.
    """
    check_group(group, settings)
    if "lr" in settings:
        raise SettingError(f"{group}.lr: no such setting.{rename_hint(f'{group}.lr')}")
    check_factory(group, settings, lambda factory: take_a_step(factory, learning_rate))


def take_a_step(factory: Any, learning_rate: float) -> torch.optim.Optimizer:
    """An optimiser of test parameters, after one step."""
    weight, bias = nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(2))
    optimizer: torch.optim.Optimizer = factory(
        [{"params": [weight]}, {"params": [bias], "weight_decay": 0.0}], lr=learning_rate
    )
    for parameter in (weight, bias):
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return optimizer
