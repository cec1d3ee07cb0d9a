"""Whether models fit into this machine's memory, said before one is made."""

import os
from collections.abc import Sequence
from itertools import pairwise

from dbn.errors import SettingError

COPIES = 4
"""Of the weights at least, in training: themselves, their gradient, their momentum, and noise to start from."""


def check_memory(key: str, sizes: Sequence[int], n_together: int = 1) -> None:
    """Refuse layers whose weights alone are more than this machine's memory.

    Args:
        key: of the setting that the sizes come from.
        sizes: units per layer.
        n_together: models that train together.

    Raises:
        SettingError: they are.
    """
    units, weights = sum(sizes), sum(below * above for below, above in pairwise(sizes))
    wanted, there = 4 * COPIES * n_together * (units + weights), physical_memory()
    if wanted > there:
        several = f" of {n_together} seeds that train together" if n_together > 1 else ""
        raise SettingError(
            f"{key}: {'-'.join(map(str, sizes))} units are {weights:.3g} weights{several}, which take "
            f"{wanted / 2**30:.3g} GiB to train; this machine has {there / 2**30:.3g} GiB of memory. Take fewer units."
        )


def physical_memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
