"""Unit types, one file each. A new type is a new file and a line in :data:`UNITS`."""

from dbn.errors import SettingError
from dbn.units.base import Units
from dbn.units.bernoulli import Bernoulli
from dbn.units.gaussian import Gaussian
from dbn.units.relu import ReLU

UNITS: dict[str, type[Units]] = {units.kind: units for units in (Bernoulli, Gaussian, ReLU)}


def make_units(kind: str, size: int) -> Units:
    """A layer of ``size`` units of the type called ``kind``.

    Raises:
        SettingError: no unit type is called so.
    """
    if kind not in UNITS:
        raise SettingError(f"units={kind!r}: there is no such unit type. Use one of {', '.join(sorted(UNITS))}.")
    return UNITS[kind](size)


__all__ = ["UNITS", "Bernoulli", "Gaussian", "ReLU", "Units", "make_units"]
