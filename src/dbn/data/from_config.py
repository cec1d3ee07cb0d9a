"""The data set that a configuration describes."""

from collections.abc import Mapping
from typing import Any

import hydra

from dbn.data import DataSet, load_data
from dbn.data.content import content_of
from dbn.errors import DataError


def data_of(config: Mapping[str, Any]) -> DataSet:
    """The data set that the group ``data`` describes.

    Raises:
        DataError: it cannot be read, or the user's file has changed since ``data.content`` was computed.
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
