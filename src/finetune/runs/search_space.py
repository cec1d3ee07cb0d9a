"""Search spaces: quasi-random draws of settings, and values at the edge of their range."""

import math
from collections.abc import Collection, Mapping
from typing import Any

from dbn.errors import SettingError
from dbn.random.streams import stream_seed
from dbn.settings import check_flag, check_group, check_keys, check_number

Space = Mapping[str, Mapping[str, Any]]
"""Dotted key to ``{low, high, log, whole}`` (uniform, or uniform in the logarithm) or ``{choices: [...]}``."""

EDGE = 0.1
"""Part of a range, at either end, in which a chosen value is said to lie on the edge."""
WIDENED_BY = 3.0
"""Factor by which a logarithmic range goes on beyond an edge on which the choice lies."""
LARGEST_TRIAL = 1 << 16


def draw(
    space: Space,
    trial: int,
    *,
    arm: str,
    labels: str,
    above: Collection[str] = (),
    below: Collection[str] = (),
) -> dict[str, Any]:
    """Draw the settings of a trial: a point of a scrambled Sobol sequence that is the arm's and number of labels' own.

    A trial's settings depend on these arguments only, so that arms share no draws, and a search that is interrupted or
    prolonged goes on in the same sequence.

    Args:
        space: the search space.
        trial: number of the trial, from 0.
        arm: name of the arm.
        labels: number of labels in words, see :func:`dbn.runs.naming.label_count`.
        above: keys whose logarithmic range goes on above by the factor :data:`WIDENED_BY`.
        below: keys whose logarithmic range goes on below by this factor.

    Raises:
        SettingError: an invalid range or list of choices, or a key to widen that has no logarithmic range.

    References:
        Bergstra & Bengio (2012), *Random search for hyper-parameter optimization*, JMLR 13:281, section 5 on
        quasi-random sequences; Owen (1998), *Scrambling Sobol' and Niederreiter-Xing points*, J. Complexity 14:466.
    """
    check_number("search.trial", trial, low=0, high=LARGEST_TRIAL, whole=True)
    wider = widened(space, above, below)
    if not wider:
        return {}
    from scipy.stats import qmc  # here: a slow import that only searches need

    sequence = qmc.Sobol(len(wider), scramble=True, seed=stream_seed(0, f"search {arm} {labels}"))
    if trial:  # scipy cannot go on by nothing
        sequence.fast_forward(trial)
    (point,) = sequence.random(1)
    return {key: value_at(key, wider[key], float(u)) for key, u in zip(sorted(wider), point, strict=True)}


def value_at(key: str, dimension: Mapping[str, Any], u: float) -> Any:
    """The value of a dimension at ``u`` in [0, 1).

    Raises:
        SettingError: an invalid range or list of choices.
    """
    where = f"space.{key}"
    if "choices" in dimension:
        check_keys(where, dimension, ("choices",))
        choices = dimension["choices"]
        if not isinstance(choices, list) or not choices:
            raise SettingError(f"{where}.choices={choices!r}: give a list of values to choose from.")
        return choices[int(u * len(choices))]
    check_keys(where, dimension, ("low", "high", "log", "whole"))
    if not {"low", "high"} <= dimension.keys():
        raise SettingError(f"{where}={dict(dimension)}: give low and high, or choices.")
    for flag in ("log", "whole"):
        check_flag(f"{where}.{flag}", dimension.get(flag, False))
    logarithmic, low, high = dimension.get("log", False), dimension["low"], dimension["high"]
    check_number(f"{where}.low", low, low=0 if logarithmic else -math.inf, above=logarithmic)
    check_number(f"{where}.high", high, low=low, above=True)
    value = low * (high / low) ** u if logarithmic else low + (high - low) * u
    return round(value) if dimension.get("whole", False) else float(f"{value:.4g}")


def widened(space: Space, above: Collection[str] = (), below: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """The space with logarithmic ranges that go on beyond an edge.

    Raises:
        SettingError: a key has no logarithmic range.
    """
    for where, keys in (("above", above), ("below", below)):
        for key in keys:
            if not space.get(key, {}).get("log"):
                raise SettingError(f"search.{where}: {key} has no logarithmic range in space that could be widened.")
    return {
        key: {
            **dimension,
            **({"high": dimension["high"] * WIDENED_BY} if key in above else {}),
            **({"low": dimension["low"] / WIDENED_BY} if key in below else {}),
        }
        for key, dimension in space.items()
    }


def edges(space: Space, settings: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Keys whose value lies in the highest, and in the lowest tenth of its range; choices have no edges.

    Of a logarithmic range, a tenth of the logarithm.
    """
    above, below = [], []
    for key, value in settings.items():
        dimension = space.get(key, {})
        if "low" not in dimension:
            continue
        low, high = dimension["low"], dimension["high"]
        place = math.log(value / low) / math.log(high / low) if dimension.get("log") else (value - low) / (high - low)
        if place > 1 - EDGE:
            above.append(key)
        elif place < EDGE:
            below.append(key)
    return above, below


def check_space(space: Any) -> None:
    """Raise :class:`SettingError` unless every entry of the group ``space`` is valid."""
    check_group("space", space)
    for key, dimension in space.items():
        check_group(f"space.{key}", dimension)
        value_at(key, dimension, 0.0)
