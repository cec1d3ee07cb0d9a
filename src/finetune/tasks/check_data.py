"""Checks that a data set can be used in fine-tuning, by the same rule for all arms of a comparison."""

from collections.abc import Mapping
from typing import Any

from dbn.data import DataSet
from dbn.data.allowed_values import UNIT, is_standardised
from dbn.models.dbn import DBN
from dbn.models.units import Gaussian, Units
from dbn.pretraining.check_data import check_data, check_visible
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
        SettingError: an unknown unit type.
        ModelFileError: ``init.stack`` is no DBN file.
    """
    visible = visible_units(config)
    autoencoder = config["task"]["name"] == "autoencoder"
    if autoencoder and not has_real_outputs(config):
        check_data(data, UNIT, f"an autoencoder's cross-entropy (stack.visible={config['stack']['visible']})")
    if needs_stack or not is_standardised(data.train):
        check_visible(data, visible)


def visible_units(config: Mapping[str, Any]) -> str | Mapping[str, Any]:
    """Type of the visible units: those of the file ``init.stack`` if given, otherwise ``stack.visible``."""
    file = config["init"].get("stack")
    wanted: str | Mapping[str, Any] = visible_of(config["stack"]) if file is None else DBN.load(file)[0].input_type
    return wanted


def has_real_outputs(config: Mapping[str, Any]) -> bool:
    """Whether an autoencoder's outputs are means of real pixels (squared error), not probabilities (cross-entropy)."""
    units, _ = Units.resolve(visible_of(config["stack"]), "stack.visible")
    return bool(units.interval == Gaussian.interval)
