"""What runs are called: names of folders for any text, and names that keep the jobs of a multirun apart."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

LONGEST_FOLDER = 200
"""Bytes of a folder's name, to which ``_seed<k>`` and the like are added: file systems take 255."""
LONGEST_VALUE = 40
LONGEST_LABEL = 140
"""Bytes of a value, and of all of them, in a run's name."""
IN_EVERY_PATH = frozenset({"arm", "seed", "study"})
"""Keys whose values are in a run's directory as it is."""
NOT_NAMED = "not_named"
"""Where Hydra writes the log of a job whose name cannot be told; the job itself says why, and ends."""
_UNUSUAL = re.compile(r"[^\w.,+=@~\[\]-]+")


def folder_name(text: object) -> str:
    """A text as the name of a folder: itself, if it can be one.

    Otherwise what a folder cannot be called, or should not, is replaced, what is too long is cut, and eight digits that
    depend on the whole text are added: different texts have different folders.
    """
    return _short(str(text), LONGEST_FOLDER)


def _short(text: str, longest: int, *, marked: bool = False) -> str:
    """The text, if it is short and usual; else, and where it is to be ``marked``, with digits that stand for it."""
    clean = _UNUSUAL.sub("-", text)
    clean = clean.lstrip(".")
    if not marked and clean == text and 0 < len(text.encode()) <= longest:
        return text
    start = clean.encode()[: longest - 9].decode(errors="ignore")
    return f"{start}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}".lstrip("-")


def value_text(value: Any) -> str:
    """A setting's value in a run's name, in 40 bytes at most; different values have different texts.

    ``0.1``, ``relu``, ``[200,100]``. Where a text reads like a number or a list, is long, or holds what is unusual in a
    folder's name, eight digits follow.
    """
    if isinstance(value, DictConfig | ListConfig):
        value = OmegaConf.to_container(value, resolve=True)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return _short(str(value), LONGEST_VALUE)
    if isinstance(value, str):
        return _short(value, LONGEST_VALUE, marked=not value or "[" in value or _reads_like_another_type(value))
    numbers = isinstance(value, list) and all(type(one) in (int, float) for one in value)
    return _short(str(value).replace(" ", ""), LONGEST_VALUE, marked=not numbers)


def _reads_like_another_type(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text in ("null", "true", "false")
    return True


def swept_keys(arguments: Sequence[str]) -> list[str]:
    """Keys, groups with their packages, that overrides of a command line give several values."""
    parsed = OverridesParser.create().parse_overrides(list(arguments))
    return [override.get_key_element().lstrip("+~") for override in parsed if override.is_sweep_override()]


def swept_override(arguments: Sequence[str]) -> list[str]:
    """The override ``swept=[...]`` that tells every job which settings keep it apart; nothing where there are none."""
    keys = [key for key in swept_keys(arguments) if key not in IN_EVERY_PATH]
    return [f"swept=[{','.join(repr(key) for key in keys)}]"] if keys else []


def label(*, _root_: DictConfig) -> str:
    """``${label:}``: what keeps a job of a multirun apart, ``_optimizer.momentum=0.5``; nothing elsewhere.

    That are the values of the keys that were swept on the command line, or that a sweep's file gives several values,
    unless ``name`` says them already.
    """
    hydra_config = _hydra_of(_root_)
    params = (hydra_config.sweeper.get("params") or {}) if hydra_config is not None else {}
    choices = hydra_config.runtime.choices if hydra_config is not None else {}
    said = " ".join(_raw(_root_, key) for key in ("base_name", "name"))
    said = said.replace("${arm.name}", _raw(_root_.get("arm") or _root_, "name"))
    in_file = [key for key in map(str, params) if key != "experiment"]  # experiments have a base_name each
    swept = dict.fromkeys([*in_file, *map(str, _root_.get("swept") or ())])
    keys = [key for key in swept if key not in IN_EVERY_PATH and not _mentions(said, key)]
    text = "".join(f"_{key}={value_text(choices[key] if key in choices else _select(_root_, key))}" for key in keys)
    return _short(text, LONGEST_LABEL) if text else ""


def _hydra_of(root: DictConfig) -> Any:
    """Hydra's own configuration: part of the job's, or, once the job is under way, kept by Hydra; None elsewhere."""
    if "hydra" in root:
        return root._get_node("hydra")
    return HydraConfig.get() if HydraConfig.initialized() else None


def _raw(root: DictConfig, key: str) -> str:
    """A value as it is written, interpolations and all."""
    node: Any = root._get_node(key)
    return "" if node is None else str(node._value())


def _mentions(text: str, key: str) -> bool:
    """Whether an interpolation in ``text`` looks at a key, or at what is in it."""
    return re.search(rf"\$\{{(\w+:\$\{{)?(arm\.)?{re.escape(key)}[.}}]", text) is not None


def _select(root: DictConfig, key: str) -> Any:
    try:
        return OmegaConf.select(root, key)
    except OmegaConfBaseException as error:  # what is wrong with it, the job itself says
        return type(error).__name__


def folder_in_configuration(key: str, *, _root_: DictConfig) -> str:
    """``${folder:name}``: the folder that a value gives its name to; a name that cannot be told stops no other job."""
    try:
        return folder_name(OmegaConf.select(_root_, key))
    except OmegaConfBaseException:
        return NOT_NAMED


def arm_name(start: str, dropout: str | None, augment: Any, stack_augment: Any) -> str:
    """``${arm_name:...}``: an arm by what it is composed of, ``dbn_relu_dropout_augment``.

    Args:
        start: word for what the network starts from.
        dropout: word for its dropout; None for none.
        augment: deformation of the images of fine-tuning.
        stack_augment: of those of pretraining; ``both`` where those of fine-tuning are deformed, too.
    """
    word, of_stack = _augmentation(augment), _augmentation(stack_augment)
    words = [start, dropout, word, ("both" if word else f"stack_{of_stack}") if of_stack else None]
    return "_".join(str(word) for word in words if word)


def _augmentation(settings: Any) -> str | None:
    """Word for the group ``augment``; None where images stay as they are."""
    if not isinstance(settings, DictConfig):
        return None  # which is refused where it is checked
    if settings.get("elastic_alpha"):
        return "augment_elastic"
    return "augment" if any(settings.get(key) for key in ("rotation", "translation", "scale", "shear")) else None


def sizes(layers: Any) -> str:
    """``${sizes:${stack.layers}}``: layers in a name, ``500_500_2000``."""
    if not isinstance(layers, list | ListConfig):
        return "layers"  # no list, which is said where layers are checked
    return "_".join(str(one.get("n_hidden") if isinstance(one, DictConfig) else one) for one in layers)


for _name, _resolver in (
    ("arm_name", arm_name), ("folder", folder_in_configuration), ("label", label), ("sizes", sizes)
):  # fmt: skip
    OmegaConf.register_new_resolver(_name, _resolver, replace=True)
