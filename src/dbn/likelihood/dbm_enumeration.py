"""Exact likelihoods of deep Boltzmann machines small enough to enumerate."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.models.dbm import DBM

MOST_STATES = 2**20
"""Largest number of joint states of the layers that are enumerated."""
CHUNK = 2**14
"""States that are computed at once."""


def check_dbm(dbm: DBM) -> None:
    """Raise :class:`SettingError` unless it is a single machine whose units have likelihoods."""
    if dbm.connection(1).members:
        raise SettingError(
            "This machine is a group of several that train together, which has no likelihood of its own. Take each of "
            "them."
        )
    for number in range(len(dbm)):
        if not dbm[number].normalised:
            raise SettingError(
                f"{dbm[number].kind} units have a free energy but no likelihood: theirs is that of the best state, not "
                "of all states. Likelihoods are those of bernoulli and gaussian units."
            )


class DBMEnumeration:
    r"""Exact sums over the states of a deep Boltzmann machine.

    Given all odd layers the even ones are independent, so that the states of one side are enumerated and the other side
    is summed, or integrated, by its log partitions:

    .. math:: Z = \sum_{x_{odd}} e^{-\sum_{l\,odd} E_l(x_l)} \prod_{l\,even} Z_l(f_l(x_{odd}))

    Feasible where one side has at most 2^20 joint states. Use a machine in float64.

    Args:
        dbm: the machine.

    Attributes:
        log_z: log partition function, a scalar in nats.

    Raises:
        SettingError: neither side can be enumerated, or units have no likelihood.

    Example:
        >>> from dbn import DBM, Bernoulli
        >>> from dbn.likelihood import DBMEnumeration
        >>> exact = DBMEnumeration(DBM([Bernoulli(6), Bernoulli(4), Bernoulli(3)]).double())
        >>> round(float(exact.log_likelihood(exact.dbm[0].states()).exp().sum()), 6)
        1.0
    """

    @torch.no_grad()
    def __init__(self, dbm: DBM) -> None:
        check_dbm(dbm)
        self.dbm = dbm
        self._side = enumerated_side(dbm, range(len(dbm)))
        self._terms = log_terms(dbm, self._side)
        self.log_z = torch.logsumexp(self._terms, 0)

    @property
    def terms(self) -> int:
        """Number of terms of the likelihood of one image; 2^63 where there are more than can be summed."""
        try:
            return len(next(iter(enumerated_side(self.dbm, range(1, len(self.dbm))).values())))
        except SettingError:
            return 2**63

    @torch.no_grad()
    def log_likelihood(self, v: Tensor) -> Tensor:
        """``log p(v)`` of visible states ``(batch, n_visible)``; ``(batch,)`` in nats.

        Raises:
            SettingError: neither side of the hidden layers can be enumerated.
            DataError: ``v`` cannot be states of the visible units.
        """
        v = self.dbm.visible_states(v)
        side = enumerated_side(self.dbm, range(1, len(self.dbm)))
        found = [torch.logsumexp(log_terms(self.dbm, side, one), 0) for one in v]
        log_p: Tensor = torch.stack(found) - self.dbm[0].energy(v) - self.log_z
        return log_p

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> list[Tensor]:
        """``n`` independent states of all layers, ``(n, n_l)`` each."""
        chosen = torch.multinomial(self._terms.softmax(0), n, replacement=True, generator=generator)
        states: list[Tensor] = [self.dbm.weight.new_zeros(n, size) for size in self.dbm.sizes]
        for k, own in self._side.items():
            states[k] = own[chosen]
        self.dbm.sample_layers(states, [k for k in range(len(states)) if k not in self._side], generator)
        return states


def enumerated_side(dbm: DBM, layers: Sequence[int]) -> dict[int, Tensor]:
    """All joint states of the even or of the odd ones of some layers, whichever are fewer: ``(states, n_l)`` of each.

    Raises:
        SettingError: neither can be enumerated.
    """
    reasons, sides = [], []
    for first in (0, 1):
        side = [k for k in layers if k % 2 == first]
        try:
            each = [dbm[k].states() for k in side]
        except SettingError as error:
            reasons.append(str(error))
            continue
        number = math.prod(len(own) for own in each)
        if number > MOST_STATES:
            reasons.append(f"layers {side} have {number} states together: enumeration stops at {MOST_STATES}.")
        else:
            sides.append((number, side, each))
    if not sides:
        raise SettingError("The partition function cannot be summed exactly: " + " ".join(reasons))
    number, side, each = min(sides, key=lambda own: own[0])
    places = torch.cartesian_prod(*(torch.arange(len(own)) for own in each)).view(number, len(each))
    return {k: own[places[:, column]] for column, (k, own) in enumerate(zip(side, each, strict=True))}


def log_terms(dbm: DBM, side: Mapping[int, Tensor], v: Tensor | None = None) -> Tensor:
    """Log of the sum over all other layers for each state of the enumerated ones, ``(states,)`` in nats.

    Args:
        dbm: the machine.
        side: the enumerated layers' states, see :func:`enumerated_side`.
        v: visible state ``(n_visible,)``; None: visible units are summed as well. Their own energy does not count.
    """
    found = []
    for start in range(0, max(len(own) for own in side.values()), CHUNK):
        states: list[Tensor | None] = [None] * len(dbm)
        for k, own in side.items():
            states[k] = own[start : start + CHUNK]
        n = next(len(x) for x in states if x is not None)
        if v is not None:
            states[0] = v.expand(n, -1)
        total = torch.stack([-dbm[k].energy(states[k]) for k in side]).sum(0)
        summed = [k for k in range(len(dbm)) if k not in side and (k > 0 or v is None)]
        total = total + sum(dbm[k].log_partition(dbm.field(k, states)) for k in summed)
        if v is not None and 1 in side:
            total = total + (dbm.connection(1).hidden_field(v.unsqueeze(0)) * states[1]).sum(-1)
        found.append(total)
    return torch.cat(found)
