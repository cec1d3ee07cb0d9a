"""The data sets that configurations describe."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import hydra

from dbn.data import DataSet
from dbn.data.content import content_of
from dbn.data.load import load_splits
from dbn.data.split_settings import split_seed_of
from dbn.errors import DataError

log = logging.getLogger(__name__)


def data_of(config: Mapping[str, Any]) -> DataSet:
    """:func:`data_sets_of` for one configuration."""
    return data_sets_of([config])[0]


def data_sets_of(configs: Sequence[Mapping[str, Any]]) -> list[DataSet]:
    """The data set of each configuration; they differ in their seeds only.

    Files are read once, and splits share the images in memory, see :func:`dbn.data.load.load_splits`.

    Raises:
        DataError: they cannot be read, or the user's file has changed since ``data.content`` was computed.
    """
    data = configs[0]["data"]
    options = {name: data[name] for name in ("validation", "test", "standardise") if name in data}
    source = hydra.utils.instantiate(data["source"])
    loaded = load_splits(source, [split_seed_of(config) for config in configs], **options)
    if data.get("content") is not None and content_of(data["path"]) != data["content"]:
        raise DataError(
            f"data.path={data['path']}: it has changed while it was being read. Call the command again when it is "
            "complete."
        )
    weights = loaded[0].train.weights
    if weights is not None:
        words = "data=%s: its images have weights, %g to %g in training: pretraining and fine-tuning learn by them."
        log.info(words, loaded[0].name, float(weights.min()), float(weights.max()))
    return loaded
