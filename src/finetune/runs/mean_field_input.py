"""Checks of a network whose first layer sees the mean-field means of a deep Boltzmann machine."""

from collections.abc import Mapping
from typing import Any

from dbn.errors import SettingError
from dbn.models.mean_field_layer import MeanFieldLinear
from dbn.settings import choice, format_value, optional
from finetune.networks.initialise import FirstLayers, Initialisation
from finetune.networks.mean_field_input import NETWORK


def check_input(config: Mapping[str, Any], initialise: Initialisation) -> None:
    """Check the first layer of a network, and that settings beside it go with one that infers.

    Args:
        config: of the run.
        initialise: its initialisation.

    Raises:
        SettingError: they do not.
    """
    network = config["network"]
    optional(choice(MeanFieldLinear.kind))("network.input", network.get("input"))
    if network.get("input") is None:
        return
    neutral: list[tuple[str, Any, Any, str]] = [
        ("task.name", config["task"]["name"] == "autoencoder", False, "task=classifier"),
        ("network.activation", network.get("activation"), "sigmoid", "start=dbm or start=random_sigmoid"),
        ("network.blocks", network.get("blocks"), None, "network.blocks=null"),
        ("network.output", network.get("output"), None, "network.output=null"),
        ("network.dropout_input", network.get("dropout_input") or 0, 0, "network.dropout_input=0"),
        ("init", isinstance(initialise, FirstLayers), False, "init=dbn"),
    ]
    for key, value, wanted, cure in neutral:
        if value != wanted:
            shown = config["task"]["name"] if key == "task.name" else value
            name = f"{key}={format_value(shown)}" if key != "init" else "init=first_layers"
            raise SettingError(
                f"{name}: the first layer of {NETWORK} infers means of binary hidden units from whole images, with "
                f"which this has no meaning. Use {cure}; or network=from_stack."
            )
