"""Unit types, one file each. A unit type defined elsewhere is available once its module has been imported."""

from collections.abc import Mapping, Sequence
from typing import Any

from dbn.models.units.base import Units
from dbn.models.units.bernoulli import Bernoulli
from dbn.models.units.bernoulli_with_label import BernoulliWithLabel
from dbn.models.units.binomial import Binomial
from dbn.models.units.double_relu import DoubleReLU
from dbn.models.units.gaussian import Gaussian
from dbn.models.units.gaussian_with_variance import GaussianWithVariance
from dbn.models.units.max_pooled import MaxPooled
from dbn.models.units.mixed import Mixed
from dbn.models.units.per_map import PerMap
from dbn.models.units.relu import ReLU
from dbn.models.units.replicated_softmax import ReplicatedSoftmax
from dbn.models.units.softmax import Softmax
from dbn.models.units.spin import Spin


def make_units(wanted: str | Mapping[str, Any], shape: int | Sequence[int], key: str = "units") -> Units:
    """Create a layer of units.

    Args:
        wanted: its kind, such as ``"bernoulli"``, or kind and options, ``{"kind": "softmax", "categories": 4}``.
        shape: number of units, or their shape.
        key: name of the setting, for messages.

    Raises:
        SettingError: no registered unit type has this kind, or it has no such option.
    """
    units: Units = Units.create(wanted, key, shape)
    return units


__all__ = [
    "Bernoulli", "BernoulliWithLabel", "Binomial", "DoubleReLU", "Gaussian", "GaussianWithVariance", "MaxPooled",
    "Mixed", "PerMap", "ReLU", "ReplicatedSoftmax", "Softmax", "Spin", "Units", "make_units",
]  # fmt: skip
