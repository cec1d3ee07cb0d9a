"""Names of runs: folder names for any text, and distinct names for the jobs of a multirun."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

LONGEST_FOLDER = 200
"""Largest number of bytes of a folder's name before suffixes such as ``_seed<k>``; file systems allow 255."""
LONGEST_VALUE = 40
LONGEST_LABEL = 140
"""Largest number of bytes of all values in a run's name."""
IN_EVERY_PATH = frozenset({"arm", "seed", "study"})
"""Keys whose values are part of every run's directory."""
SET_BY = {"labels": "data.n_labelled"}
"""Groups whose choices differ in one setting: a name that says the setting says the choice."""
NOT_NAMED = "not_named"
"""Folder for Hydra's log of a job whose name cannot be resolved; the job itself reports the error."""
_UNUSUAL = re.compile(r"[^\w.,+=@~\[\]-]+")


def folder_name(text: object) -> str:
    """A text as the name of a folder: unchanged if possible.

    Otherwise unsuitable characters are replaced, long texts are cut, and eight digits of a hash are appended, so that
    different texts have different folders.
    """
    return _short(str(text), LONGEST_FOLDER)


def _short(text: str, longest: int, *, marked: bool = False) -> str:
    """The text if it is short and has usual characters only; otherwise, or if ``marked``, cleaned and with a hash."""
    clean = _UNUSUAL.sub("-", text)
    clean = clean.lstrip(".")
    if not marked and clean == text and 0 < len(text.encode()) <= longest:
        return text
    start = clean.encode()[: longest - 9].decode(errors="ignore")
    return f"{start}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}".lstrip("-")


def value_text(value: Any) -> str:
    """A setting's value in a run's name, such as ``0.1``, ``relu``, ``[200,100]``; at most 40 bytes, and unique.

    Eight digits of a hash follow a text that looks like a number or a list, is long, or has unusual characters.
    """
    if isinstance(value, DictConfig | ListConfig):
        value = OmegaConf.to_container(value, resolve=True)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return _short(str(value), LONGEST_VALUE)
    if isinstance(value, str):
        return _short(value, LONGEST_VALUE, marked=not value or "[" in value or _reads_like_another_type(value))
    numbers = isinstance(value, list) and all(type(item) in (int, float) for item in value)
    return _short(str(value).replace(" ", ""), LONGEST_VALUE, marked=not numbers)


def _reads_like_another_type(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text in ("null", "true", "false")
    return True


def swept_keys(arguments: Sequence[str]) -> list[str]:
    """Keys (of groups, with packages) to which overrides of a command line give several values."""
    parsed = OverridesParser.create().parse_overrides(list(arguments))
    return [override.get_key_element().lstrip("+~") for override in parsed if override.is_sweep_override()]


def swept_override(arguments: Sequence[str]) -> list[str]:
    """The override ``swept=[...]`` that names the swept settings to every job; empty if there are none."""
    keys = [key for key in swept_keys(arguments) if key not in IN_EVERY_PATH]
    return [f"swept=[{','.join(repr(key) for key in keys)}]"] if keys else []


def label(*, _root_: DictConfig) -> str:
    """Resolver ``${label:}``: swept settings of a job of a multirun, ``_optimizer.momentum=0.5``; empty otherwise.

    These are the keys that the command line or the sweep's file gives several values, unless ``name`` refers to them.
    """
    hydra_config = _hydra_of(_root_)
    params = (hydra_config.sweeper.get("params") or {}) if hydra_config is not None else {}
    choices = hydra_config.runtime.choices if hydra_config is not None else {}
    template = " ".join(_raw(_root_, key) for key in ("base_name", "name"))
    template = template.replace("${arm.name}", _raw(_root_.get("arm") or _root_, "name"))
    in_file = [key for key in map(str, params) if key != "experiment"]  # each experiment has its own base_name
    swept = dict.fromkeys([*in_file, *map(str, _root_.get("swept") or ())])
    keys = [
        key
        for key in swept
        if key not in IN_EVERY_PATH and not any(_mentions(template, own) for own in (key, SET_BY.get(key, key)))
    ]
    text = "".join(f"_{key}={value_text(choices[key] if key in choices else _select(_root_, key))}" for key in keys)
    return _short(text, LONGEST_LABEL) if text else ""


def _hydra_of(root: DictConfig) -> Any:
    """Hydra's own configuration: part of ``root``, or while a job runs, in HydraConfig; otherwise None."""
    if "hydra" in root:
        return root._get_node("hydra")
    return HydraConfig.get() if HydraConfig.initialized() else None


def _raw(root: DictConfig, key: str) -> str:
    """A value as written, with unresolved interpolations."""
    node: Any = root._get_node(key)
    return "" if node is None else str(node._value())


def _mentions(text: str, key: str) -> bool:
    """Whether an interpolation in ``text`` refers to a key, or to a key below it."""
    return re.search(rf"\$\{{(\w+:\$\{{)?(arm\.)?{re.escape(key)}[.}}]", text) is not None


def _select(root: DictConfig, key: str) -> Any:
    try:
        return OmegaConf.select(root, key)
    except OmegaConfBaseException as error:  # the job itself reports the error
        return type(error).__name__


def folder_in_configuration(key: str, *, _root_: DictConfig) -> str:
    """Resolver ``${folder:name}``: :func:`folder_name` of a value; an unresolvable name must not stop other jobs."""
    try:
        return folder_name(OmegaConf.select(_root_, key))
    except OmegaConfBaseException:
        return NOT_NAMED


def arm_name(
    start: str,
    unlabelled: str | None,
    normalisation: str | None,
    dropout: str | None,
    augment: Any,
    stack_augment: Any,
    training: Any,
    optimizer: Any,
    network: Any = None,
    layers: Any = None,
) -> str:
    """Resolver ``${arm_name:...}``: an arm's name from its components, ``random_relu_batchnorm_dropout_augment``.

    Adam has no word: it is the optimiser of whole studies, of autoencoders, whose arms are called as they were.

    Args:
        start: word for the initialisation.
        unlabelled: word for the use of unlabelled images in fine-tuning; None for none.
        normalisation: word for normalisation; None for none.
        dropout: word for dropout; None for none.
        augment: group of the deformation in fine-tuning.
        stack_augment: group of the deformation in pretraining; the word is ``both`` if fine-tuning has one as well.
        training: group that may have ``mixup``, or ``generative``, without which a class RBM is ``discriminative``.
        optimizer: group of the optimiser; the word is ``adamw`` for that one.
        network: group of the network; one with blocks of its own comes first, by its ``name``, and has no stack; a
            class RBM, and one that sees mean-field means, come first, too.
        layers: of the stack; ``conv`` comes first where one of them is a convolution.
    """
    word, of_stack = _augmentation(augment), _augmentation(stack_augment)
    is_class_rbm = isinstance(network, DictConfig) and network.get("output") is not None
    if isinstance(network, DictConfig) and network.get("blocks") is not None:
        named, of_stack = network.get("name"), None
        kind = "blocks" if named == "from_stack" else named  # blocks given on the command line have no name
    elif is_class_rbm or (isinstance(network, DictConfig) and network.get("input") is not None):
        kind = network.get("name")
    else:
        kind = "conv" if has_convolution(layers) else None
    words = [kind, start, unlabelled, normalisation, dropout, word]
    words.append(("both" if word else f"stack_{of_stack}") if of_stack else None)
    if isinstance(training, DictConfig) and training.get("mixup") is not None:
        words.append("mixup")
    if is_class_rbm and not (isinstance(training, DictConfig) and training.get("generative")):
        words.append("discriminative")
    if isinstance(optimizer, DictConfig) and str(optimizer.get("_target_")).endswith(".AdamW"):
        words.append("adamw")
    return "_".join(str(word) for word in words if word)


def has_convolution(layers: Any) -> bool:
    """Whether one of ``stack.layers`` is a convolution."""
    found = layers if isinstance(layers, list | ListConfig) else []
    return any(
        "convolution" in (layer.get("kind"), kind_named(layer.get("connection")))
        for layer in found
        if isinstance(layer, Mapping | DictConfig)
    )


def kind_named(wanted: Any) -> Any:
    """The kind that ``kind`` or ``{kind: ..., option: value}`` names."""
    return wanted.get("kind") if isinstance(wanted, Mapping | DictConfig) else wanted


def _augmentation(settings: Any) -> str | None:
    """Words for a group ``augment``, such as ``augment_crop_flip``; None without augmentation.

    Affine maps alone have no word of their own, nor beside elastic deformation, whose arms are called as they were.
    """
    if not isinstance(settings, DictConfig):
        return None  # refused by the checks
    later = [word for word in ("crop", "flip") if settings.get(word)]
    later += ["colour"] if any(settings.get(key) for key in ("brightness", "contrast", "saturation")) else []
    affine = any(settings.get(key) for key in ("rotation", "translation", "scale", "shear"))
    words = ["affine"] if affine and later else []
    words += ["elastic"] if settings.get("elastic_alpha") else []
    return "_".join(["augment", *words, *later]) if affine or words or later else None


def label_count(n_labelled: int | None) -> str:
    """Resolver ``${label_count:${data.n_labelled}}``: number of labels in a name, ``all`` for None."""
    return "all" if n_labelled is None else str(n_labelled)


def sizes(layers: Any) -> str:
    """Resolver ``${sizes:${stack.layers}}``: units or maps of layers in a name, ``500_500_2000``."""
    if not isinstance(layers, list | ListConfig):
        return "layers"  # refused by the checks
    return "_".join(
        str(layer.get("n_hidden", layer.get("maps")) if isinstance(layer, DictConfig) else layer) for layer in layers
    )


for _name, _resolver in (
    ("arm_name", arm_name), ("folder", folder_in_configuration), ("label", label), ("label_count", label_count),
    ("sizes", sizes),
):  # fmt: skip
    OmegaConf.register_new_resolver(_name, _resolver, replace=True)
