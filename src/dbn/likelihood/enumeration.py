"""Exact likelihoods of RBMs small enough to enumerate."""

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.models.rbm import RBM


def check_normalised(rbm: RBM) -> None:
    """Raise :class:`SettingError` unless both layers of units have ``normalised`` log partitions."""
    for units in (rbm.visible, rbm.hidden):
        if not units.normalised:
            raise SettingError(
                f"{units.kind} units have a free energy but no likelihood: theirs is that of the best state, not of "
                "all states. Likelihoods are those of bernoulli and gaussian units."
            )


@torch.no_grad()
def log_partition_function(rbm: RBM) -> Tensor:
    """``log Z``, a scalar in nats, by summing over all states of the smaller layer that can be enumerated.

    Use a model in float64: the sum runs over up to 2^20 terms.

    Raises:
        SettingError: neither side can be enumerated, or a layer's units have no likelihood.
    """
    check_normalised(rbm)
    sides = [(rbm.n_hidden, rbm.hidden, rbm.free_energy_hidden), (rbm.n_visible, rbm.visible, rbm.free_energy)]
    reasons = []
    for _, units, free_energy in sorted(sides, key=lambda side: side[0]):
        try:
            states = units.states()
        except SettingError as error:
            reasons.append(str(error))
            continue
        return torch.logsumexp(torch.cat([-free_energy(chunk) for chunk in states.split(2**14)]), 0)
    raise SettingError("The partition function cannot be summed exactly: " + " ".join(reasons))


@torch.no_grad()
def log_likelihood(rbm: RBM, v: Tensor, log_z: Tensor | None = None) -> Tensor:
    """``log p(v)`` of visible states ``(batch, n_visible)``; returns ``(batch,)`` in nats.

    Args:
        rbm: the model.
        v: visible states.
        log_z: the log partition function, if known or estimated; None computes it exactly.

    Raises:
        SettingError: as :func:`log_partition_function`.

    Example:
        >>> import torch
        >>> from dbn import RBM, Bernoulli
        >>> from dbn.likelihood import log_likelihood
        >>> rbm = RBM(Bernoulli(10), Bernoulli(6)).double()
        >>> round(float(log_likelihood(rbm, rbm.visible.states()).exp().sum()), 6)
        1.0
    """
    check_normalised(rbm)
    return -rbm.free_energy(v) - (log_partition_function(rbm) if log_z is None else log_z)
