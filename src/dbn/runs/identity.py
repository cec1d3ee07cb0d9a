"""What makes two runs, or two stacks, the same one: everything that decides what comes out, and nothing else.

Not a part of it: what things are called, where they lie, on which device and by how many processes the work is done,
what is shown on the way. Data of one's own are known by their content.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dbn.data.content import content_of

INCIDENTAL = frozenset(
    {"checkpoint_seconds", "logger", "n_parallel_seeds", "paths", "pretrain_only", "progress", "swept"}
)
"""Parts of a configuration that do not change what a run computes, or only its rounding."""
MACHINE_KEYS = frozenset({"accelerator", "devices", "num_nodes", "profiler", "strategy"})
"""Of the group ``trainer``: where work is done, and by how many."""
NO_LIMIT = {"fast_dev_run": False, "limit_train_batches": 1.0, "limit_val_batches": 1.0, "overfit_batches": 0.0}
"""Of the group ``trainer``: values that mean what leaving them out means."""
LOCATION_KEYS = frozenset({"name", "path", "root", "source"})
"""Of the group ``data``; of ``source``, whose settings these are again, what differs is looked at apart."""


def with_content(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration, with what files of one's own hold: ``data.content``, and ``init.content`` of a DBN file."""
    known = dict(config)
    for group, key in (("data", "path"), ("init", "stack")):
        settings = config.get(group)
        if isinstance(settings, Mapping) and isinstance(settings.get(key), str | Path):
            known[group] = {**settings, "content": content_of(settings[key])}
    return known


def run_identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """What two configurations of the same run agree on."""
    kept = {key: value for key, value in config.items() if key not in INCIDENTAL}
    if isinstance(config.get("data"), Mapping):
        kept["data"] = {**data_identity(config["data"]), "n_labelled": config["data"].get("n_labelled")}
    if isinstance(config.get("trainer"), Mapping):
        kept["trainer"] = trainer_identity(config["trainer"])
    for group, where in (("init", "stack"), ("search", "chosen")):  # what is in these files, is in the configuration
        if isinstance(config.get(group), Mapping):
            kept[group] = {key: value for key, value in config[group].items() if key != where}
    return kept


def data_identity(data: Mapping[str, Any]) -> dict[str, Any]:
    """What decides which images are trained on, validated and tested with, and how they are read."""
    read_by = {key: value for key, value in data.get("source", {}).items() if key not in LOCATION_KEYS}
    others = {*LOCATION_KEYS, "n_labelled", "representations"}
    return {**{key: value for key, value in data.items() if key not in others}, "source": read_by}


def trainer_identity(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """What of the group ``trainer`` decides how much is trained."""
    return {
        key: value
        for key, value in trainer.items()
        if key not in MACHINE_KEYS and value is not None and not _same(value, NO_LIMIT.get(key))
    }


def _same(value: Any, other: Any) -> bool:
    """Equal and of one type: one batch is not all of them, 1.0."""
    return type(value) is type(other) and bool(value == other)


def digest(content: Any) -> str:
    """Ten hexadecimal digits that differ where plain content differs; 1 and 1.0 do not."""
    text = json.dumps(_canonical(content), sort_keys=True, allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _canonical(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {str(key): _canonical(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_canonical(value) for value in content]
    return int(content) if isinstance(content, float) and content.is_integer() else content
