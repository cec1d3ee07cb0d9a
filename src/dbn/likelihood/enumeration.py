"""Exact likelihoods of RBMs small enough to enumerate."""

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.models.rbm import RBM

CHUNK = 2**14
"""States whose free energies are computed at once."""


def check_single(rbm: RBM) -> None:
    """Raise :class:`SettingError` for a group of RBMs."""
    if rbm.connection.members:
        raise SettingError(
            "This RBM is a group of several that train together, which has no likelihood and no chains of its own. "
            "Take each of rbm.members()."
        )


def check_normalised(rbm: RBM) -> None:
    """Raise :class:`SettingError` unless it is a single RBM whose layers have ``normalised`` log partitions."""
    check_single(rbm)
    for units in (rbm.visible, rbm.hidden):
        if not units.normalised:
            raise SettingError(
                f"{units.kind} units have a free energy but no likelihood: theirs is that of the best state, not of "
                "all states. Likelihoods are those of bernoulli and gaussian units."
            )


class Enumeration:
    """All states of an RBM's smaller layer that can be enumerated, with their probabilities.

    Feasible where a layer has at most 2^20 states: 20 binary units. Use a model in float64.

    Args:
        rbm: the model.

    Attributes:
        layer: ``hidden`` or ``visible``: the layer whose states are enumerated.
        log_z: the log partition function, a scalar in nats.

    Raises:
        SettingError: neither side can be enumerated, or a layer's units have no likelihood.

    Example:
        >>> import torch
        >>> from dbn import RBM, Bernoulli
        >>> from dbn.likelihood import Enumeration
        >>> exact = Enumeration(RBM(Bernoulli(64), Bernoulli(8)).double())
        >>> exact.layer, exact.sample(100).shape
        ('hidden', torch.Size([100, 64]))
    """

    @torch.no_grad()
    def __init__(self, rbm: RBM) -> None:
        check_normalised(rbm)
        sides = [
            ("hidden", rbm.n_hidden, rbm.hidden, rbm.free_energy_hidden),
            ("visible", rbm.n_visible, rbm.visible, rbm.free_energy),
        ]
        reasons = []
        for layer, _, units, free_energy in sorted(sides, key=lambda side: side[1]):
            try:
                states = units.states()
            except SettingError as error:
                reasons.append(str(error))
                continue
            self.rbm, self.layer, self._states = rbm, layer, states
            self._minus_free_energies = torch.cat([-free_energy(chunk) for chunk in states.split(CHUNK)])
            self.log_z = torch.logsumexp(self._minus_free_energies, 0)
            return
        raise SettingError("The partition function cannot be summed exactly: " + " ".join(reasons))

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Independent visible states of the model, ``(n, n_visible)``, by the probabilities of all states."""
        p = torch.softmax(self._minus_free_energies, 0)
        states = self._states[torch.multinomial(p, n, replacement=True, generator=generator)]
        return self.rbm.sample_visible(states, generator) if self.layer == "hidden" else states


def log_partition_function(rbm: RBM) -> Tensor:
    """``log Z``, a scalar in nats, by summing over all states of the smaller layer that can be enumerated.

    Use a model in float64: the sum runs over up to 2^20 terms.

    Raises:
        SettingError: neither side can be enumerated, or a layer's units have no likelihood.
    """
    return Enumeration(rbm).log_z


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
