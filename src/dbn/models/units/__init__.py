"""Unit types, one file each. One that is defined elsewhere takes part as soon as its module has been imported."""

from collections.abc import Mapping, Sequence
from typing import Any

from dbn.models.units.base import Units
from dbn.models.units.bernoulli import Bernoulli
from dbn.models.units.gaussian import Gaussian
from dbn.models.units.relu import ReLU


def make_units(wanted: str | Mapping[str, Any], shape: int | Sequence[int], key: str = "units") -> Units:
    """A layer of units.

    Args:
        wanted: the type, ``"bernoulli"``; of one with options, ``{"kind": "softmax", "categories": 4}``.
        shape: number of units, or their shape.
        key: the setting that says so, for messages.

    Raises:
        SettingError: no unit type that has been imported is called so, or it has no such option.
    """
    units: Units = Units.create(wanted, key, shape)
    return units


__all__ = ["Bernoulli", "Gaussian", "ReLU", "Units", "make_units"]
