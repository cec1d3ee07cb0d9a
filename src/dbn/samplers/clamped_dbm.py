"""Filling in missing visible units of a deep Boltzmann machine."""

from collections.abc import Callable

import torch
from torch import Tensor

from dbn.errors import DataError
from dbn.models.dbm import DBM
from dbn.random.streams import Noise
from dbn.samplers.clamped import Filled
from dbn.settings import check_number


@torch.no_grad()
def clamped_gibbs_of_dbm(
    dbm: DBM,
    v: Tensor,
    missing: Tensor,
    steps: int = 1000,
    generator: Noise = None,
    after_step: Callable[[], None] | None = None,
) -> Filled:
    """Sample the missing visible units given the observed ones.

    A step samples the odd layers given the even ones, and then the even ones, of the visible units only those that are
    missing. All are exact conditionals, so the chain converges to the exact ``p(missing | observed)``.

    Args:
        dbm: the machine.
        v: visible states ``(batch, n_visible)``; values of missing units are not used.
        missing: true where a unit is missing, ``(batch, n_visible)`` bool.
        steps: from samples without field of the missing units and of the hidden ones.
        generator: source of randomness (default: torch's global one).
        after_step: called after every step, such as to show progress.

    Raises:
        SettingError: ``steps`` is not a whole number from 1.
        DataError: ``v`` cannot be visible states, or ``missing`` is not of their shape.
    """
    check_number("steps", steps, low=1, whole=True)
    if not isinstance(missing, Tensor) or missing.dtype != torch.bool or missing.shape != v.shape:
        raise DataError(f"missing must be a tensor of true and false of the shape of v, {tuple(v.shape)}.")
    observed = dbm.visible_states(torch.where(missing, torch.zeros_like(v), v))
    states = dbm.independent_states(len(observed), generator)
    means = states[0] = torch.where(missing, states[0], observed)
    total = torch.zeros_like(observed)
    for step in range(steps):
        dbm.sample_layers(states, range(1, len(dbm), 2), generator)
        fields = dbm.sample_layers(states, range(0, len(dbm), 2), generator)
        states[0] = torch.where(missing, states[0], observed)
        means = torch.where(missing, dbm[0].mean(fields[0]), observed)
        if step >= steps // 2:
            total += means
        if after_step is not None:
            after_step()
    expected = torch.where(missing, total / (steps - steps // 2), observed)
    return Filled(states[0], means, expected)
