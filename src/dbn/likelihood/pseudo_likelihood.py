"""Pseudo-likelihood of an RBM: the probability of every visible unit given all others."""

import math

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.models.rbm import RBM
from dbn.models.units import Bernoulli, Gaussian

SPACING = 0.5
"""Distance of the points of the trapezoidal rule, in standard deviations of a visible unit given the hidden ones. For
mixtures of normal densities its relative error is about exp(-2 pi^2 / SPACING^2), 5e-35."""
TAIL = 9.0
"""Standard deviations that the points go beyond the outermost means; the density beyond is below 1e-17."""


@torch.no_grad()
def pseudo_log_likelihood(rbm: RBM, v: Tensor) -> Tensor:
    r""":math:`\sum_i \log p(v_i \mid v_{-i})` of visible states ``v`` ``(batch, n_visible)``; ``(batch,)`` in nats.

    Exact, in ``n_visible`` times the time of a free energy, where an estimate flips a single unit. For binary units
    :math:`\log p(v_i \mid v_{-i}) = -\log(1 + \exp(F(v) - F(\tilde v^i)))` with unit ``i`` flipped; a value between 0
    and 1 is flipped to one minus it. For real units the integral over :math:`v_i` is a sum of equidistant points: the
    density is a mixture of normal ones, for which the trapezoidal rule is exact to rounding.

    Raises:
        SettingError: visible units other than :class:`Bernoulli` or :class:`Gaussian`, the latter with hidden units
            other than :class:`Bernoulli`, or hidden units without a likelihood.
        DataError: ``v`` cannot be states of the visible units.

    References:
        Besag (1975), *Statistical analysis of non-lattice data*, The Statistician 24:179. Trefethen & Weideman (2014),
        *The exponentially convergent trapezoidal rule*, SIAM Review 56:385.
    """
    v = rbm.visible_states(v)
    of_unit = {Bernoulli: _flipped, Gaussian: _integrated}.get(type(rbm.visible))
    real = of_unit is _integrated
    if of_unit is None or not rbm.hidden.normalised or (real and type(rbm.hidden) is not Bernoulli):
        raise SettingError(
            f"The pseudo-likelihood is computed for Bernoulli visible units, and for Gaussian ones with Bernoulli "
            f"hidden units; this RBM has {rbm.visible} and {rbm.hidden} units. Compare free energies within a "
            "model instead."
        )
    eye = torch.eye(rbm.n_visible, dtype=v.dtype, device=v.device)
    field = rbm.hidden_field(v)
    total = torch.zeros(len(v), dtype=v.dtype, device=v.device)
    for unit in range(rbm.n_visible):
        weight = rbm.hidden_field(eye[unit : unit + 1]).squeeze(0)  # any connection
        total += of_unit(rbm, v[:, unit], field, weight, float(rbm.visible.bias[unit]))
    return total


def _flipped(rbm: RBM, x: Tensor, field: Tensor, weight: Tensor, bias: float) -> Tensor:
    """``log p(x | others)`` of a binary unit with states ``x`` ``(batch,)``."""
    change = 1 - 2 * x
    flipped = rbm.hidden.log_partition(field + change[:, None] * weight)
    difference = rbm.hidden.log_partition(field) - flipped - bias * change  # F(flipped) - F(v)
    return torch.nn.functional.logsigmoid(difference)


def _integrated(rbm: RBM, x: Tensor, field: Tensor, weight: Tensor, bias: float) -> Tensor:
    """``log p(x | others)`` of a real unit with states ``x`` ``(batch,)``."""
    low, high = bias + float(weight.clamp(max=0).sum()) - TAIL, bias + float(weight.clamp(min=0).sum()) + TAIL
    points = torch.arange(low, high + SPACING, SPACING, dtype=x.dtype, device=x.device)
    others = field - x[:, None] * weight
    logs = [
        rbm.hidden.log_partition(others + float(point) * weight) - 0.5 * (float(point) - bias) ** 2 for point in points
    ]
    own = rbm.hidden.log_partition(field) - 0.5 * (x - bias) ** 2
    normaliser: Tensor = torch.logsumexp(torch.stack(logs), 0)
    return own - normaliser - math.log(SPACING)
