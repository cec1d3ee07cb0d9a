"""Pseudo-likelihood of RBMs with binary visible units: exact, or estimated from one unit of each image."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dbn.errors import SettingError
from dbn.models.rbm import RBM
from dbn.models.units import Bernoulli


@torch.no_grad()
def pseudo_log_likelihood(rbm: RBM, v: Tensor, units: Tensor | None = None) -> Tensor:
    r"""Log pseudo-likelihood :math:`\sum_i \log p(v_i \mid v_{-i})`, which needs no log Z.

    The distribution is :math:`p(v) \propto \exp(-F(v))`, so that the logit of :math:`p(v_i = 1 \mid v_{-i})` is
    :math:`F(v_i{=}0) - F(v_i{=}1)`. A value :math:`v_i` between 0 and 1 is a probability of a one, and its term the
    expectation.

    Args:
        rbm: with Bernoulli visible units.
        v: visible states ``(batch, n_visible)``.
        units: a visible unit for each state ``(batch,)``, whose term stands for all; None sums all units, which takes
            ``2 * n_visible`` passes.

    Returns:
        ``(batch,)`` in nats; with ``units`` ``n_visible`` times the unit's term, whose expectation over evenly drawn
        units is the sum.

    Raises:
        SettingError: the visible units are not binary.
        DataError: ``v`` cannot be states of the visible units.

    References:
        Besag (1975), *Statistical analysis of non-lattice data*. Marlin et al. (2010), *Inductive principles for
        restricted Boltzmann machine learning*, AISTATS, section 3.3.
    """
    if not isinstance(rbm.visible, Bernoulli):
        raise SettingError(
            f"{rbm.visible.kind} visible units have no pseudo-likelihood that can be summed: it is one of bernoulli "
            "units."
        )
    v = rbm.visible_states(v)
    if units is not None:
        return rbm.n_visible * _term(rbm, v, units)
    every = torch.arange(rbm.n_visible, device=v.device)
    return torch.stack([_term(rbm, v, unit.expand(len(v))) for unit in every]).sum(0)


def _term(rbm: RBM, v: Tensor, units: Tensor) -> Tensor:
    """``log p(v_i | v_{-i})`` of unit ``units[k]`` of state ``k``; ``(batch,)``."""
    index = units[:, None]
    off, on = (rbm.free_energy(v.scatter(1, index, value)) for value in (0.0, 1.0))
    logit = off - on
    return v.gather(1, index)[:, 0] * logit - F.softplus(logit)
