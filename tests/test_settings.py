"""Wrong values for every key of every configuration file: a message that names the key, before anything is trained."""

import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

import hydra
import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from dbn.commands.configuration import config_directory, resolve_config
from dbn.commands.texts import TEXTS
from dbn.errors import UserError
from dbn.evaluate import check_evaluate
from dbn.pretraining.check_config import check_pretraining
from dbn.sample import check_sample
from finetune.export.command import check_export
from finetune.features import check_features
from finetune.predict import check_predict
from finetune.report.command import check_report
from finetune.report.status import check_status
from finetune.runs.check_config import check_composed, check_finetuning
from finetune.runs.description import check_sizes
from helpers import recipe_overrides

CONF = config_directory()
HUGE = 10**30
WRONG: dict[str, Any] = {
    "word": "abc",
    "empty": "",
    "null": None,
    "negative": -1,
    "zero": 0,
    "huge": HUGE,
    "huge float": 1e300,
    "infinite": float("inf"),
    "not a number": float("nan"),
    "flag": True,
    "list": [1, "a"],
    "group": {"a": 1},
}


Configuration = DictConfig | dict[str, Any]


def of_finetune(config: Configuration) -> None:
    if isinstance(config, dict):
        check_finetuning(config)
    else:
        check_composed(config)


def of_describe(config: Configuration) -> None:
    of_finetune(config)
    check_sizes(config["sizes"])


def as_dict(config: Configuration) -> dict[str, Any]:
    return config if isinstance(config, dict) else resolve_config(config)


CHECKS: dict[str, Callable[[Configuration], None]] = {
    "finetune": of_finetune,
    "describe": of_describe,
    "pretrain": lambda config: check_pretraining(as_dict(config)),
    "export": lambda config: check_export(as_dict(config)),
    "report": lambda config: check_report(as_dict(config)),
    "status": lambda config: check_status(as_dict(config)),
    "predict": lambda config: check_predict(as_dict(config)),
    "features": lambda config: check_features(as_dict(config)),
    "sample": lambda config: check_sample(as_dict(config)),
    "evaluate": lambda config: check_evaluate(as_dict(config)),
}


def leaves(part: Mapping[Any, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Path of every leaf: of everything that is no group with something in it."""
    for key, value in part.items():
        path = (*prefix, str(key))
        if isinstance(value, Mapping) and value:
            yield from leaves(value, path)
        else:
            yield path


STARTS = {
    "network": ["start=random_relu"],
    "network/class_rbm.yaml": ["start=random_sigmoid"],
    "network/mean_field.yaml": ["start=random_sigmoid"],
}
"""Starts that the choices of a group, or a single one, need."""


def settings_of_file(path: Path) -> tuple[str, list[str], list[tuple[str, ...]]]:
    """The command that a file belongs to, what chooses it, and the paths of the keys that it sets."""
    text = path.read_text(encoding="utf-8")
    content = yaml.safe_load(text) or {}
    content = {key: value for key, value in content.items() if key not in ("defaults", "hydra")}
    relative = path.relative_to(CONF)
    group, choice = str(relative.parent), relative.stem
    if group == ".":
        return choice, [], list(leaves(content))
    overrides = [f"{group}={choice}", *STARTS.get(relative.as_posix(), STARTS.get(group, []))]
    if group.startswith("recipe/"):
        overrides = recipe_overrides(relative)
    if choice == "base":
        overrides = []
    if not content:
        return "finetune", overrides, []
    prefix = () if text.startswith("# @package _global_") else (group,)
    return "finetune", overrides, list(leaves(content, prefix))


NEEDED = {
    "report": {"path": "runs"},
    "status": {"path": "runs"},
    "predict": {"run": "runs/x/finetune/dbn_seed0"},
    "features": {"run": "runs/x/finetune/dbn_seed0"},
    "sample": {"stack.file": "dbn.safetensors"},
    "evaluate": {"stack.file": "dbn.safetensors"},
    "export": {"run": "runs/x/finetune/dbn_seed0"},
}
"""Settings that a command cannot do without."""
FILES = [path for path in sorted(CONF.rglob("*.yaml")) if "hydra" not in path.relative_to(CONF).parts]


def composed(command: str, overrides: list[str]) -> DictConfig:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra.compose(command, overrides)
    OmegaConf.set_struct(config, False)
    for key, value in NEEDED.get(command, {}).items():
        OmegaConf.update(config, key, value)
    return config


def put(config: Any, path: tuple[str, ...], value: Any) -> Any:
    changed = deepcopy(config)
    node = changed
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return changed


def refusal(check: Callable[[Configuration], None], config: Configuration) -> str | None:
    """The message; None where there is nothing wrong. Any other error is a traceback."""
    try:
        check(config)
    except UserError as error:
        return str(error)
    return None


def unique_settings() -> dict[str, tuple[str, list[str], tuple[str, ...]]]:
    """Every key once for each choice of the group it belongs to: command, what chooses the file, path of the key."""
    found = {}
    for file in FILES:
        command, overrides, paths = settings_of_file(file)
        for path in paths:
            own = str(file.relative_to(CONF).parent) == path[0] and path[0] in OWNED
            found.setdefault(
                f"{command} {' '.join(overrides) if own else ''} {'.'.join(path)}", (command, overrides, path)
            )
    return found


OWNED = frozenset({"data", "optimizer", "schedule", "init", "sampler", "method", "unlabelled"})
"""Groups whose choices have settings of their own; elsewhere a key means the same in every file."""
FREE = frozenset({"copies", "copy", "copy_name", "seeds_of"})
"""A study's own variables, from which other settings are made."""
OPEN = frozenset({"search.settings", "searched"})
"""Groups that may hold anything."""
DEPENDENT = {
    "optimizer.momentum": "optimizer.nesterov",
    "stack.every_layer.hidden.kind": "stack.every_layer.hidden={'kind'",
}
"""Settings that are refused together with another, or as a whole."""
FEW = 4
"""Kinds of wrong values that at least are refused."""


@lru_cache(maxsize=4)
def base(command: str, *overrides: str) -> DictConfig:
    if "sweep=final" in overrides:
        overrides = (*overrides, "search.chosen=null")  # there is no such file here
    return composed(command, list(overrides))


SETTINGS = {name: found for name, found in unique_settings().items() if found[2][0] not in FREE}
REFERRED_TO = set(re.findall(r"\$\{(?:[a-z.]+:)?(?:\$\{)?([a-z_.]+)", "".join(path.read_text() for path in FILES)))
"""Keys from which others are made."""


@lru_cache(maxsize=4)
def resolved(command: str, *overrides: str) -> dict[str, Any]:
    found: dict[str, Any] = resolve_config(base(command, *overrides))
    return found


@pytest.mark.parametrize("name", SETTINGS)
def test_a_wrong_value_of_any_setting_gets_a_message_that_names_it(name: str) -> None:
    command, overrides, path = SETTINGS[name]
    check, key = CHECKS[command], ".".join(path)
    refused = set()
    for kind, value in WRONG.items():
        if key in REFERRED_TO:
            config = put(base(command, *overrides), path, value)
        else:  # the same, faster
            config = put(resolved(command, *overrides), path, value)
        message = refusal(check, config)
        assert message is None or key in message or DEPENDENT.get(key, key) in message, f"{key}={value!r}: {message}"
        if message is not None:
            refused.add(kind)
    assert "list" in refused or key.endswith((".choices", ".tags")), f"{key} may be a list of anything"
    assert "group" in refused or key in OPEN, f"{key} may be a group of anything"
    texts = key in TEXTS  # numbers are texts as well
    assert ({"empty", "null"} & refused) if texts else (len(refused) >= FEW), (
        f"{key} may be nearly anything: not {refused}"
    )


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(CONF)))
def test_every_file_passes_as_it_is(file: Path) -> None:
    command, overrides, _ = settings_of_file(file)
    assert refusal(CHECKS[command], base(command, *overrides)) is None
