"""Importance of the settings of a search: how much of the variance of the metric each explains by itself."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

FEWEST_TRIALS = 12
"""With fewer, a forest says more of chance than of settings."""
POINTS, LEVELS = 256, 32
"""Points at which the other settings are averaged over, and values of a setting between which the mean varies."""


def importance(
    trials: Sequence[Mapping[str, Any]], values: Sequence[float], space: Mapping[str, Mapping[str, Any]]
) -> dict[str, float] | None:
    """Share of each setting in the variance over the search space, by itself: functional analysis of variance.

    A random forest is fitted to the trials; the share is the variance of its mean over all other settings, divided by
    its variance over the space. What remains to 1 are interactions. The space is taken as the search draws from it:
    logarithmic ranges in the logarithm, choices as equally likely.

    Args:
        trials: settings of each trial, by dotted key.
        values: metric of each trial.
        space: the search space, see :mod:`finetune.runs.search_space`.

    Returns:
        Shares from 0 to 1 by key, the largest first; None for fewer than :data:`FEWEST_TRIALS` trials, or if all values
        are equal.

    References:
        Hutter, Hoos & Leyton-Brown (2014), *An efficient approach for assessing hyperparameter importance*, ICML,
        section 3; here the means are taken over quasi-random points.
    """
    keys = [key for key in sorted(space) if all(is_in(own, key, space[key]) for own in trials)]
    if len(trials) < FEWEST_TRIALS or not keys or max(values) == min(values):
        return None
    from sklearn.ensemble import RandomForestRegressor  # here: other pages have no use for it

    forest = RandomForestRegressor(n_estimators=64, min_samples_leaf=2, random_state=0)
    places = np.array([[place(own[key], space[key]) for key in keys] for own in trials])
    forest.fit(places, np.asarray(values))
    points = qmc.Sobol(len(keys), scramble=True, seed=0).random(POINTS)
    total = float(np.var(predicted(forest, points, space, keys)))
    if total == 0:
        return None
    shares = {}
    for number, key in enumerate(keys):
        grid = np.repeat(points[None], LEVELS, 0)
        grid[:, :, number] = ((np.arange(LEVELS) + 0.5) / LEVELS)[:, None]
        means = predicted(forest, grid.reshape(-1, len(keys)), space, keys).reshape(LEVELS, POINTS).mean(1)
        shares[key] = min(1.0, float(np.var(means)) / total)
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))


def predicted(
    forest: Any, points: NDArray[np.float64], space: Mapping[str, Mapping[str, Any]], keys: Sequence[str]
) -> NDArray[np.float64]:
    """The forest's values at points of the unit cube ``(n, keys)``; ``(n,)``."""
    snapped = points.copy()
    for number, key in enumerate(keys):
        if "choices" in space[key]:  # the middle of each choice's part, at which trials lie
            n = len(space[key]["choices"])
            snapped[:, number] = (np.floor(points[:, number] * n) + 0.5) / n
    values: NDArray[np.float64] = forest.predict(snapped)
    return values


def is_in(settings: Mapping[str, Any], key: str, dimension: Mapping[str, Any]) -> bool:
    """Whether a trial has a value of a setting that the space knows."""
    return key in settings and ("choices" not in dimension or settings[key] in dimension["choices"])


def place(value: Any, dimension: Mapping[str, Any]) -> float:
    """Where a value lies in its range, from 0 to 1; beyond that where a range was widened."""
    if "choices" in dimension:
        choices = list(dimension["choices"])
        return (choices.index(value) + 0.5) / len(choices)
    low, high = dimension["low"], dimension["high"]
    if low == high:
        return 0.5
    return math.log(value / low) / math.log(high / low) if dimension.get("log") else (value - low) / (high - low)
