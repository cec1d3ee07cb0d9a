"""Checks that a data set can be used in fine-tuning, by the same rule for all arms of a comparison."""

from collections.abc import Mapping
from typing import Any

from dbn.data import DataSet
from dbn.data.allowed_values import UNIT, is_standardised
from dbn.data.augment import Augment
from dbn.data.check_augment import check_augmentable
from dbn.errors import SettingError
from dbn.models.dbn import DBN
from dbn.models.units import Binomial, Gaussian, Mixed, ReplicatedSoftmax, Softmax, Spin, Units
from dbn.pretraining.check_data import check_data, check_visible, visible_units_of
from dbn.pretraining.from_config import visible_of


def check_inputs(data: DataSet, config: Mapping[str, Any], *, needs_stack: bool) -> None:
    """Refuse features outside the interval of the configuration's visible units, also for arms without stack.

    All arms of a study must be trained on the same features. So features that a pretrained arm refuses, such as floats
    from 0 to 255, are refused by random arms as well, in training, validation and test images alike.

    With ``stack.visible=bernoulli`` there is one exception: random arms accept standardised features
    (``data.standardise=true``), which are commonly used and whose scale is unambiguous. A pretrained arm needs
    ``stack.visible=gaussian`` for these. An autoencoder needs it as well: then its loss is the squared error, since
    cross-entropy is for probabilities.

    Args:
        data: the data set, before a labelled subset is drawn.
        config: of a fine-tuning run.
        needs_stack: whether the arm's initialisation requires a pretrained stack.

    Raises:
        DataError: a feature is outside the allowed interval.
        SettingError: an unknown unit type, an autoencoder of units of several types, or an augmentation that the images
            cannot have.
        ModelFileError: ``init.stack`` is no DBN file.
    """
    if data.columns is not None:
        check_for_table(data, config)
    else:
        check_augmentations(data, config, needs_stack=needs_stack)
    visible = visible_units(config, data)
    autoencoder = config["task"]["name"] == "autoencoder"
    if autoencoder and not has_real_outputs(config, data):
        check_data(data, UNIT, f"an autoencoder's cross-entropy (stack.visible={config['stack']['visible']})")
    if needs_stack or not is_standardised(data.train):
        check_visible(data, visible)


def check_for_table(data: DataSet, config: Mapping[str, Any]) -> None:
    """Refuse settings that are for images.

    Raises:
        SettingError: images would be deformed, or features shown as pictures.
    """
    unlabelled = config["unlabelled"] or {}
    wanted = {
        "augment": "none" if Augment(**config["augment"]).is_nothing else "...",
        "stack.augment": "none" if Augment(**config["stack"]["augment"]).is_nothing else "...",
        "features": config.get("features", 0) or "none",
        "unlabelled": "fixmatch" if "strong" in unlabelled else "none",
    }
    for key, value in wanted.items():
        if value != "none":
            neutral = 0 if key == "features" else "none"
            raise SettingError(
                f"{key}={value}: data={data.name} is a table, whose rows are no images. Use {key}={neutral}."
            )


def check_augmentations(data: DataSet, config: Mapping[str, Any], *, needs_stack: bool) -> None:
    """Refuse augmentations of labelled, unlabelled or pretraining images that these cannot have.

    Raises:
        SettingError: see :func:`dbn.data.check_augment.check_augmentable`.
    """
    unlabelled = config["unlabelled"] or {}
    wanted = {
        "augment": config["augment"],
        "stack.augment": config["stack"]["augment"] if needs_stack else {},
        **{f"unlabelled.{view}": unlabelled.get(view) or {} for view in ("weak", "strong")},
    }
    for key, settings in wanted.items():
        check_augmentable(data, Augment(**settings), key)


def visible_units(config: Mapping[str, Any], data: DataSet) -> str | Mapping[str, Any]:
    """Type of the visible units: those of the file ``init.stack`` if given, otherwise ``stack.visible``."""
    file = config["init"].get("stack")
    if file is None:
        return visible_units_of(visible_of(config["stack"]), data)
    wanted: str | Mapping[str, Any] = DBN.load(file)[0].input_type
    return wanted


def has_real_outputs(config: Mapping[str, Any], data: DataSet) -> bool:
    """Whether an autoencoder's outputs are means of real pixels (squared error), not probabilities (cross-entropy).

    Raises:
        SettingError: they would be both, side by side, or something else, such as categories.
    """
    units, _ = Units.resolve(visible_units_of(visible_of(config["stack"]), data), "stack.visible")
    if units in (Binomial, Mixed, ReplicatedSoftmax, Softmax, Spin):
        raise SettingError(
            f"task=autoencoder: the visible units are {units.kind}, and an autoencoder's outputs are either all real "
            "or all binary. Leave out the other columns of a table (data.columns.<name>=leave_out), or use a stack "
            "alone, which reconstructs units of any kind: dbn-pretrain."
        )
    return bool(units.interval == Gaussian.interval)
