"""What a configuration says of the split and of labels; needs no torch."""

from collections.abc import Mapping
from typing import Any


def split_seed_of(config: Mapping[str, Any]) -> int:
    """Seed of the split: ``data.split_seed``, or the run's seed where that is null or absent."""
    own = config["data"].get("split_seed")
    return int(config["seed"] if own is None else own)


AS_TRAINING = "as_training"
"""Value of ``data.n_validation``: as many as training labels."""


def n_validation_of(data: Mapping[str, Any]) -> int | None:
    """Largest number of validation images that ``data.n_validation`` lets take part in choices; None: all."""
    wanted = data.get("n_validation")
    number: int | None = data.get("n_labelled") if wanted == AS_TRAINING else wanted
    return number
