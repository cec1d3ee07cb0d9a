"""Check that a model fits into memory, before it is made."""

import os
from collections.abc import Sequence
from itertools import pairwise

from dbn.errors import SettingError

COPIES = 4
"""Copies of the weights that training needs at least: weights, gradients, momentum, and initial noise."""


def check_memory(key: str, sizes: Sequence[int], n_together: int = 1) -> None:
    """Refuse dense layers whose weights do not fit into this machine's memory.

    Args:
        key: name of the setting that gives the sizes, for the message.
        sizes: units per layer.
        n_together: number of models that train together.

    Raises:
        SettingError: they do not fit.
    """
    units, weights = sum(sizes), sum(below * above for below, above in pairwise(sizes))
    needed, available = 4 * COPIES * n_together * (units + weights), physical_memory()
    if needed > available:
        several = f" of {n_together} seeds that train together" if n_together > 1 else ""
        raise SettingError(
            f"{key}: {'-'.join(map(str, sizes))} units are {weights:.3g} weights{several}, which take "
            f"{needed / 2**30:.3g} GiB to train; this machine has {available / 2**30:.3g} GiB of memory. Take fewer "
            "units."
        )


def physical_memory() -> int:
    """Physical memory of this machine, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
