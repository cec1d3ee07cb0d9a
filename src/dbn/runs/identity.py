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

SUBMISSION = frozenset({"job_minutes", "runs_at_once", "runs_per_job", "submit"})
"""Top-level keys that say how a sweep is handed to SLURM; its jobs do without them."""
INCIDENTAL = SUBMISSION | {
    "checkpoint_seconds",
    "cluster",
    "logger",
    "n_parallel_seeds",
    "objective",
    "paths",
    "pretrain_only",
    "progress",
    "report",
    "snapshot",
    "space",
    "swept",
}
"""Top-level keys that do not affect a run's result, apart from rounding; a trial states what it drew from ``space``."""
MACHINE_KEYS = frozenset({"accelerator", "devices", "num_nodes", "profiler", "strategy"})
"""Keys of the group ``trainer`` that determine devices and processes."""
NO_LIMIT = {"fast_dev_run": False, "limit_train_batches": 1.0, "limit_val_batches": 1.0, "overfit_batches": 0.0}
"""Values of the group ``trainer`` that are equivalent to leaving out the key."""
STACK_KEYS = frozenset({"method", "sampler", "stack"})
"""Top-level keys of pretraining, which a network with blocks of its own has no use for."""
SWITCHED: dict[str, tuple[Any, tuple[str, ...]]] = {
    "sparsity_target": (None, ("sparsity_cost",)),
    "patience": (None, ("watch",)),
    "variance_from_data": (False, ()),
    "gradient": ("plain", ()),
    "l1_cost": (0, ()),
    "max_norm": (None, ()),
    "dropout_hidden": (0, ()),
    "final_learning_rate": (None, ()),
}
"""Settings of a layer that earlier versions did not have: the value that has no effect, and what has none then."""
UNUSED_BY_SAMPLERS = (("chains", None),)
"""Settings of samplers that are equivalent to leaving them out, which earlier versions did not have."""
NO_BLOCKS = ("blocks", None)
"""Setting of the group ``network`` that is equivalent to leaving it out."""
NO_WEIGHTS = ("weights", None)
"""Setting of the group ``data``, and of its reader, that is equivalent to leaving it out."""
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
    if isinstance(config.get("arm"), Mapping):  # its layers are those of the stack, and nothing but a check
        kept["arm"] = {key: value for key, value in config["arm"].items() if key != "layers"}
    if isinstance(config.get("trainer"), Mapping):
        kept["trainer"] = trainer_identity(config["trainer"])
    if isinstance(config.get("augment"), Mapping):
        kept["augment"] = settings_in_effect(config["augment"])
    for group in ("method", "sampler"):
        if isinstance(kept.get(group), Mapping):
            kept[group] = method_identity(kept[group])
    stack = kept.get("stack")
    if isinstance(stack, Mapping):
        kept["stack"] = _stack_identity(stack)
    for group, paths in (("init", ("stack", "run")), ("search", ("chosen",))):  # the files' content is compared instead
        if isinstance(config.get(group), Mapping):
            kept[group] = {key: value for key, value in config[group].items() if key not in paths}
    return kept


def method_identity(method: Mapping[str, Any]) -> dict[str, Any]:
    """A group ``method``, or ``sampler``, without the samplers' settings that have no effect."""
    kept = {key: value for key, value in method.items() if (key, value) not in UNUSED_BY_SAMPLERS}
    if isinstance(kept.get("steps"), Mapping):  # epochs, which are texts in JSON
        kept["steps"] = {str(epoch): number for epoch, number in kept["steps"].items()}
    for part in ("sampler", "greedy"):
        if isinstance(kept.get(part), Mapping):
            kept[part] = method_identity(kept[part])
    return kept


def _stack_identity(stack: Mapping[str, Any]) -> dict[str, Any]:
    """The group ``stack`` without settings that have no effect and that earlier versions did not have."""
    kept = dict(stack)
    if isinstance(stack.get("augment"), Mapping):
        kept["augment"] = settings_in_effect(stack["augment"])
    groups = {name: stack[name] for name in ("every_layer", "upper_layers") if isinstance(stack.get(name), Mapping)}
    layers = stack.get("layers") or ()
    off = without_effect(*groups.values(), *(layer for layer in layers if isinstance(layer, Mapping)))
    for name, own in groups.items():
        kept[name] = {key: value for key, value in own.items() if key not in off}
    return kept


def without_effect(*settings: Mapping[str, Any]) -> set[str]:
    """Those of :data:`SWITCHED` that have no effect in layers with these settings, of which all may be incomplete."""
    off = {}
    for switch, (value, others) in SWITCHED.items():
        if all(own.get(switch, value) == value for own in settings):
            off[switch] = others
    return {key for switch, others in off.items() for key in (switch, *others)}


def data_identity(data: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the group ``data`` that determine the images of each split and how they are read."""
    others = {*LOCATION_KEYS, *LABEL_KEYS, "representations"}
    read_by, own = (
        {key: value for key, value in group.items() if key not in left_out and (key, value) != NO_WEIGHTS}
        for group, left_out in ((data.get("source", {}), LOCATION_KEYS), (data, others))
    )
    return {**own, "source": read_by}


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
