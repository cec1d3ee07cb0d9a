"""Check that a model fits into memory, before it is made."""

import os

from dbn.errors import SettingError

COPIES = 4
"""Copies of the parameters that training needs at least: weights, gradients, momentum, and initial noise."""
FLOAT_BYTES = 4


def check_memory(
    key: str, what: str, parameters: int, states: int = 0, *, n_together: int = 1, advice: str = "Take fewer units."
) -> None:
    """Refuse a model whose training does not fit into this machine's memory.

    Args:
        key: the setting that is to blame, for the message.
        what: the model in words, such as its layers.
        parameters: weights and biases of one model.
        states: units' states, fields or outputs that are held at once beside them, of all models.
        n_together: number of models that train together.
        advice: what to change.

    Raises:
        SettingError: it does not fit.
    """
    needed, available = FLOAT_BYTES * (COPIES * n_together * parameters + states), physical_memory()
    if needed > available:
        several = f" of {n_together} seeds that train together" if n_together > 1 else ""
        each = " each" if n_together > 1 else ""
        held = f" and hold {states:.3g} numbers for the images computed at once" if states else ""
        raise SettingError(
            f"{key}: {what}{several} have {parameters:.3g} weights and biases{each}{held}, which take "
            f"{needed / 2**30:.3g} GiB to train; this machine has {available / 2**30:.3g} GiB of memory. {advice}"
        )


def physical_memory() -> int:
    """Physical memory of this machine, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
