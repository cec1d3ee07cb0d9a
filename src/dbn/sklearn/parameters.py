"""Validation of estimators' parameters, in the words of :mod:`dbn.settings`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dbn.errors import SettingError
from dbn.settings import Check, check_number, check_table, choice, format_value, within
from dbn.sklearn.inputs import SCALINGS


def checked(estimator: Any, checks: Mapping[str, Check]) -> dict[str, Any]:
    """The parameters of an estimator, as plain Python numbers and lists where numpy's were given.

    Raises:
        SettingError: a parameter is invalid; a ValueError that names it, its value and what is accepted.
    """
    given = {name: plain(value) for name, value in estimator.get_params(deep=False).items()}
    others = given.keys() - checks.keys()
    check_table(type(estimator).__name__, given, checks, others=others)
    return given


def plain(value: Any) -> Any:
    """A numpy scalar as a Python number, an array as a list; other values themselves."""
    if isinstance(value, np.generic):
        return value.item()
    return value.tolist() if isinstance(value, np.ndarray) else value


def check_layer_sizes(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` is a number of hidden units, or a list of at least one."""
    for n in sizes_of(value) or [0]:
        try:
            check_number(key, plain(n), low=1, whole=True)
        except SettingError as error:
            raise SettingError(
                f"{key}={format_value(value)}: give the number of hidden units of each layer, such as (500, 500)."
            ) from error


def sizes_of(value: Any) -> list[Any]:
    """Numbers of hidden units: a single number is one layer."""
    return [plain(n) for n in value] if isinstance(value, (list, tuple)) else [value]


def check_verbosity(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` is a whole number from 0, or true or false."""
    check_number(key, int(value) if isinstance(value, bool) else value, low=0, whole=True)


SHARED_CHECKS: dict[str, Check] = {"scaling": choice(*SCALINGS), "verbose": check_verbosity}
PRETRAINING_CHECKS: dict[str, Check] = {
    "learning_rate": within(low=0, above=True),
    "batch_size": within(low=1, whole=True),
    "n_iter": within(low=0, whole=True),
    "sampler": choice("cd", "pcd"),
    "gibbs_steps": within(low=1, whole=True),
    "momentum": within(low=0, high=1, below=True),
    "weight_decay": within(low=0),
}
"""Checks of the parameters that RBM and DBN share."""
