"""From the group ``stack`` of a configuration to the settings of each layer."""

from collections.abc import Mapping
from typing import Any

from dbn.settings import check_list, check_table
from dbn.training import LAYER_CHECKS, LayerSettings


def layers_of(stack: Mapping[str, Any]) -> list[LayerSettings]:
    """Settings of every layer: its own, over those of layers above the first, over those of every layer.

    Raises:
        SettingError: a key that is no setting of a layer, or a value that cannot be used.
    """
    check_table("stack.every_layer", stack["every_layer"], LAYER_CHECKS)
    check_table("stack.upper_layers", stack["upper_layers"], LAYER_CHECKS)
    check_list("stack.layers", stack["layers"])
    layers = [dict(layer) if isinstance(layer, Mapping) else {"n_hidden": layer} for layer in stack["layers"]]
    upper = [{}, *[stack["upper_layers"]] * len(layers)]
    together = [{**stack["every_layer"], **above, **layer} for above, layer in zip(upper, layers, strict=False)]
    for layer, whole in zip(layers, together, strict=True):
        check_table("stack.layers", layer, LAYER_CHECKS)
        check_table("stack.layers", whole, {}, needed=["n_hidden"], others=LAYER_CHECKS)
    return [LayerSettings(**layer) for layer in together]
