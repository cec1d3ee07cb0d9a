"""Whether a network can be trained and tested on a data set: one rule for all arms of a comparison."""

from collections.abc import Mapping
from typing import Any

from dbn.data import DataSet
from dbn.data.intervals import UNIT, is_standardised
from dbn.models.dbn import DBN
from dbn.models.units import Gaussian, Units
from dbn.pretraining.configured import visible_of
from dbn.pretraining.inputs import check_data, check_visible


def check_inputs(data: DataSet, config: Mapping[str, Any], *, needs_stack: bool) -> None:
    """Refuse features that the visible units of the configuration cannot take, whether or not the arm has a stack.

    Arms of a study are told apart by how they are trained. So they see the same numbers: what the pretrained arm
    refuses, floats from 0 to 255 for instance, is refused by the random ones it is compared with, in training,
    validation and test images alike.

    One kind of features is left to random arms alone while ``stack.visible=bernoulli``: standardised ones
    (``data.standardise=true``), since such networks are commonly trained on them and there is nothing to mistake about
    their scale. A pretrained arm of the same study is refused until ``stack.visible=gaussian`` is set, and then sees
    the same standardised numbers. What no arm may do is to reconstruct them by cross-entropy, which is for
    probabilities: an autoencoder wants ``stack.visible=gaussian``, which makes its loss the squared error.

    Args:
        data: all of it, before a labelled subset is drawn.
        config: of a fine-tuning run.
        needs_stack: whether a pretrained stack takes part in the arm's starting weights.

    Raises:
        DataError: there is a feature that cannot be; said before anything is trained.
        SettingError: ``stack.visible`` names no type of units.
        ModelFileError: ``init.stack`` is no DBN file.
    """
    visible = visible_units(config)
    autoencoder = config["task"]["name"] == "autoencoder"
    if autoencoder and not has_real_outputs(config):
        check_data(data, UNIT, f"an autoencoder's cross-entropy (stack.visible={config['stack']['visible']})")
    if needs_stack or not is_standardised(data.train):
        check_visible(data, visible)


def visible_units(config: Mapping[str, Any]) -> str | Mapping[str, Any]:
    """The type of the visible units: of the stack in ``init.stack`` where there is one, otherwise ``stack.visible``."""
    file = config["init"].get("stack")
    wanted: str | Mapping[str, Any] = visible_of(config["stack"]) if file is None else DBN.load(file)[0].input_type
    return wanted


def has_real_outputs(config: Mapping[str, Any]) -> bool:
    """Whether an autoencoder's outputs are means of real pixels (squared error), not probabilities (cross-entropy)."""
    units, _ = Units.resolve(visible_of(config["stack"]), "stack.visible")
    return bool(units.interval == Gaussian.interval)
