"""Annealed importance sampling of deep Boltzmann machines: estimates of partition functions too large to enumerate."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.likelihood.annealed_sampling import AfterStep, Betas, LogPartitionEstimate, estimate_of, rising
from dbn.likelihood.base_rates import BaseRates
from dbn.likelihood.dbm_enumeration import check_dbm
from dbn.models.dbm import DBM
from dbn.models.rbm import RBM
from dbn.random.streams import Noise
from dbn.settings import check_number


def _ignore(more: int) -> None:
    """Show no progress."""


@dataclass(frozen=True, eq=False)
class Annealed:
    r"""The machine at inverse temperatures, of which the even layers are summed out.

    .. math:: p_\beta(x_{odd}) \propto e^{-\sum_{l\,odd} E_l(x_l)} \prod_{l\,even} Z_l(\beta f_l(x_{odd}))

    with :math:`Z_0((1 - \beta) a + \beta f_0)` of the visible units: at 0 all units are independent, at 1 it is the
    machine.

    Attributes:
        dbm: the machine.
        base: ``a``, a constant field of the visible units.
    """

    dbm: DBM
    base: BaseRates

    @property
    def odd(self) -> range:
        """The layers whose states the chains have."""
        return range(1, len(self.dbm), 2)

    @property
    def even(self) -> range:
        """The layers that are summed out."""
        return range(0, len(self.dbm), 2)

    def even_fields(self, states: Sequence[Tensor | None]) -> dict[int, Tensor]:
        """Fields of the even layers at inverse temperature 1."""
        return {k: self.dbm.field(k, states) for k in self.even}

    def at(self, beta: float, layer: int, field: Tensor) -> Tensor:
        """An even layer's field at another inverse temperature."""
        return torch.lerp(self.base.field, field, beta) if layer == 0 else beta * field

    def log_sum(self, beta: float, fields: dict[int, Tensor]) -> Tensor:
        """Sum of the even layers' log partitions, ``(chains,)`` float64."""
        parts = [self.dbm[k].log_partition(self.at(beta, k, field)).double() for k, field in fields.items()]
        return torch.stack(parts).sum(0)

    def step(self, beta: float, states: list[Tensor], fields: dict[int, Tensor], generator: Noise) -> None:
        """Sample the even layers given the odd ones, and then these, at an inverse temperature."""
        for k, field in fields.items():
            states[k] = self.dbm[k].sample(self.at(beta, k, field), generator)
        for k in self.odd:
            states[k] = self.dbm[k].sample(self.dbm.field(k, states).mul_(beta), generator)

    def log_z_of_base(self) -> float:
        """Log partition function of the independent units."""
        nothing = [self.dbm.weight.new_zeros(1, size) for size in self.dbm.sizes]
        nothing[0] = self.base.field.unsqueeze(0)
        return float(sum(self.dbm[k].log_partition(field).double() for k, field in enumerate(nothing)))

    def anneal(
        self, states: list[Tensor], betas: Sequence[float], generator: Noise, after_step: AfterStep, *, in_reverse: bool
    ) -> LogPartitionEstimate:
        """Anneal chains along inverse temperatures; ``states`` are those of all layers, the odd ones' count."""
        log_weights = torch.zeros(len(states[1]), dtype=torch.float64, device=states[1].device)
        last = betas[-1]
        for previous, beta in pairwise(betas):
            fields = self.even_fields(states)
            log_weights += self.log_sum(beta, fields) - self.log_sum(previous, fields)
            if beta != last:  # the weights do not depend on what comes after
                self.step(beta, states, fields, generator)
            after_step(1)
        sign = -1.0 if in_reverse else 1.0
        return estimate_of(sign * log_weights.cpu() + self.log_z_of_base(), in_reverse=in_reverse)


def base_of(dbm: DBM, v: Tensor | None) -> BaseRates:
    """The independent visible units with the means of states ``v`` ``(n, n_visible)``; None: those without weights."""
    lowest = RBM(dbm[0], dbm[1], dbm.connection(1))
    return BaseRates.of_biases(lowest) if v is None else BaseRates.fitted(lowest, dbm.visible_states(v))


@torch.no_grad()
def anneal_dbm(
    dbm: DBM, betas: Betas, chains: int, generator: torch.Generator | None = None, *, v: Tensor | None = None,
    after_step: AfterStep = _ignore,
) -> LogPartitionEstimate:  # fmt: skip
    """Estimate ``log Z`` of a deep Boltzmann machine by annealing from independent units: see :class:`Annealed`.

    Args:
        dbm: the machine.
        betas: ``(steps,)`` numbers that rise from 0 to 1.
        chains: number of independent runs.
        generator: source of randomness (default: torch's global one).
        v: visible states ``(n, n_visible)`` whose means the independent units have, such as training data; None: units
            with the machine's own biases.
        after_step: called after every temperature with 1, such as to show progress.

    Raises:
        SettingError: ``betas`` does not rise from 0 to 1, there is no chain, or units have no likelihood.

    Example:
        >>> import torch
        >>> from dbn import DBM, Bernoulli
        >>> from dbn.likelihood import DBMEnumeration, anneal_dbm
        >>> dbm = DBM([Bernoulli(8), Bernoulli(6), Bernoulli(4)]).double()
        >>> estimate = anneal_dbm(dbm, torch.linspace(0, 1, 100), chains=100)
        >>> abs(estimate.log_z - float(DBMEnumeration(dbm).log_z)) < 0.1
        True

    References:
        Salakhutdinov & Hinton (2009), section 4; Salakhutdinov & Murray (2008).
    """
    check_number("chains", chains, low=1, whole=True)
    steps = rising(betas)
    check_dbm(dbm)
    return Annealed(dbm, base_of(dbm, v)).anneal(
        dbm.independent_states(chains, generator), steps, generator, after_step, in_reverse=False
    )


@torch.no_grad()
def anneal_dbm_in_reverse(
    dbm: DBM, states: Sequence[Tensor], betas: Betas, generator: torch.Generator | None = None, *,
    v: Tensor | None = None, after_step: AfterStep = _ignore,
) -> LogPartitionEstimate:  # fmt: skip
    """Estimate ``log Z`` by annealing from the machine to independent units: a stochastic upper bound.

    Args:
        dbm: the machine.
        states: exact samples of it, which the bound requires: of all layers, ``(chains, n_l)`` each, such as
            :meth:`dbn.likelihood.DBMEnumeration.sample` draws. Only those of odd layers count.
        betas: ``(steps,)`` numbers that rise from 0 to 1, used in reverse order.
        generator: source of randomness (default: torch's global one).
        v: as in :func:`anneal_dbm`.
        after_step: as in :func:`anneal_dbm`.

    Raises:
        SettingError: ``betas`` does not rise from 0 to 1, ``states`` are empty, or units have no likelihood.

    References:
        Burda, Grosse & Salakhutdinov (2015).
    """
    steps = rising(betas)
    if len(states) != len(dbm) or not len(states[1]):
        raise SettingError("states: annealing in reverse takes at least one sample of all layers of the machine.")
    check_dbm(dbm)
    return Annealed(dbm, base_of(dbm, v)).anneal(
        list(states), steps[::-1], generator, after_step, in_reverse=True
    )  # fmt: skip
