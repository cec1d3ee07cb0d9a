"""What a configuration describes: its data set, and how each layer of its stack is trained."""

from collections.abc import Mapping
from typing import Any

import hydra

from dbn.data import DataSet, load_data
from dbn.data.content import content_of
from dbn.errors import DataError
from dbn.settings import check_keys
from dbn.training import LayerSettings


def data_of(config: Mapping[str, Any]) -> DataSet:
    """The data set that the group ``data`` describes.

    Raises:
        DataError: it cannot be read, or a file of one's own has changed since the run was told which images it is of.
    """
    data = config["data"]
    names = ("split_seed", "validation", "test", "standardise")
    source = hydra.utils.instantiate(data["source"])
    loaded = load_data(source, **{name: data[name] for name in names if name in data})
    if data.get("content") is not None and content_of(data["path"]) != data["content"]:
        raise DataError(
            f"data.path={data['path']}: it has changed while it was being read. Call the command again when it is "
            "complete."
        )
    return loaded


def layers_of(stack: Mapping[str, Any]) -> list[LayerSettings]:
    """Settings of every layer: its own, over those of layers above the first, over those of every layer.

    Raises:
        SettingError: a key that is no setting of a layer, or a value that cannot be used.
    """
    known = LayerSettings.__dataclass_fields__
    check_keys("stack.every_layer", stack["every_layer"], known)
    check_keys("stack.upper_layers", stack["upper_layers"], known)
    layers = [{"n_hidden": layer} if isinstance(layer, int) else dict(layer) for layer in stack["layers"]]
    for layer in layers:
        check_keys("stack.layers", layer, known)
    upper = [{}, *[stack["upper_layers"]] * len(layers)]
    return [
        LayerSettings(**{**stack["every_layer"], **above, **layer}) for above, layer in zip(upper, layers, strict=False)
    ]
