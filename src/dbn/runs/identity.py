"""Identity of a run: all settings that affect its result, and only these.

Names, paths, devices, numbers of processes, and display options are not part of it. The user's files are identified by
their content.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dbn.data.augment_settings import settings_in_effect
from dbn.data.content import content_of
from dbn.data.split_settings import n_validation_of

INCIDENTAL = frozenset(
    {
        "checkpoint_seconds",
        "logger",
        "n_parallel_seeds",
        "paths",
        "pretrain_only",
        "progress",
        "report",
        "runs_per_job",
        "space",
        "submit",
        "swept",
    }
)
"""Top-level keys that do not affect a run's result, apart from rounding; a trial states what it drew from ``space``."""
MACHINE_KEYS = frozenset({"accelerator", "devices", "num_nodes", "profiler", "strategy"})
"""Keys of the group ``trainer`` that determine devices and processes."""
NO_LIMIT = {"fast_dev_run": False, "limit_train_batches": 1.0, "limit_val_batches": 1.0, "overfit_batches": 0.0}
"""Values of the group ``trainer`` that are equivalent to leaving out the key."""
STACK_KEYS = frozenset({"method", "sampler", "stack"})
"""Top-level keys of pretraining, which a network with blocks of its own has no use for."""
SWITCHED = {"sparsity_target": ("sparsity_target", "sparsity_cost"), "patience": ("patience", "watch")}
"""Settings of a layer that are null where they have no effect, with those that have none without them."""
NO_BLOCKS = ("blocks", None)
"""Setting of the group ``network`` that is equivalent to leaving it out."""
LABEL_KEYS = frozenset({"n_labelled", "n_validation"})
"""Keys of the group ``data`` that do not affect pretraining."""
LOCATION_KEYS = frozenset({"name", "path", "root", "source"})
"""Keys of the group ``data`` that are names and paths, and ``source``, which is compared separately."""


def with_content(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with hashes of the user's files added: ``data.content``, ``init.content`` of a model's file."""
    known = dict(config)
    for group, key in (("data", "path"), ("init", "stack"), ("init", "run")):
        settings = config.get(group)
        if isinstance(settings, Mapping) and isinstance(settings.get(key), str | Path):
            known[group] = {**settings, "content": content_of(settings[key])}
    return known


def run_identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a configuration that configurations of the same run have in common."""
    kept = {key: value for key, value in config.items() if key not in INCIDENTAL}
    if isinstance(config.get("data"), Mapping):
        labels = {
            "n_labelled": config["data"].get("n_labelled"), "n_validation": n_validation_of(config["data"])
        }  # fmt: skip
        kept["data"] = {**data_identity(config["data"]), **labels}
    network = config.get("network")
    if isinstance(network, Mapping):
        kept["network"] = {key: value for key, value in network.items() if key != "name" and (key, value) != NO_BLOCKS}
        if network.get("blocks") is not None:  # they are no stack's
            kept = {key: value for key, value in kept.items() if key not in STACK_KEYS}
    if isinstance(config.get("trainer"), Mapping):
        kept["trainer"] = trainer_identity(config["trainer"])
    if isinstance(config.get("augment"), Mapping):
        kept["augment"] = settings_in_effect(config["augment"])
    stack = kept.get("stack")
    if isinstance(stack, Mapping):
        kept["stack"] = _stack_identity(stack)
    for group, paths in (("init", ("stack", "run")), ("search", ("chosen",))):  # the files' content is compared instead
        if isinstance(config.get(group), Mapping):
            kept[group] = {key: value for key, value in config[group].items() if key not in paths}
    return kept


def _stack_identity(stack: Mapping[str, Any]) -> dict[str, Any]:
    """The group ``stack`` without settings that have no effect and that earlier versions did not have."""
    kept = dict(stack)
    if isinstance(stack.get("augment"), Mapping):
        kept["augment"] = settings_in_effect(stack["augment"])
    for group in ("every_layer", "upper_layers"):
        own = stack.get(group)
        if isinstance(own, Mapping):
            off = {key for switch, keys in SWITCHED.items() if own.get(switch) is None for key in keys}
            kept[group] = {key: value for key, value in own.items() if key not in off}
    return kept


def data_identity(data: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the group ``data`` that determine the images of each split and how they are read."""
    read_by = {key: value for key, value in data.get("source", {}).items() if key not in LOCATION_KEYS}
    others = {*LOCATION_KEYS, *LABEL_KEYS, "representations"}
    return {**{key: value for key, value in data.items() if key not in others}, "source": read_by}


def trainer_identity(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the group ``trainer`` that affect the result."""
    return {
        key: value
        for key, value in trainer.items()
        if key not in MACHINE_KEYS and value is not None and not _same(value, NO_LIMIT.get(key))
    }


def _same(value: Any, other: Any) -> bool:
    """Whether values are equal and of the same type: a limit of 1 is one batch, 1.0 is all batches."""
    return type(value) is type(other) and bool(value == other)


def digest(content: Any) -> str:
    """Ten hexadecimal digits of a hash of plain content, in which 1 and 1.0 are equal."""
    text = json.dumps(_canonical(content), sort_keys=True, allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _canonical(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {str(key): _canonical(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_canonical(value) for value in content]
    return int(content) if isinstance(content, float) and content.is_integer() else content
