"""Pseudo-likelihood of RBMs: the probability of every visible unit given all others, or of one unit of each image."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from dbn.errors import SettingError
from dbn.models.rbm import RBM
from dbn.models.units import Bernoulli, Gaussian, PerMap

SPACING = 0.5
"""Distance of the points of the trapezoidal rule, in standard deviations of a visible unit given the hidden ones. For
mixtures of normal densities its relative error is about exp(-2 pi^2 / SPACING^2), 5e-35."""
TAIL = 9.0
"""Standard deviations that the points go beyond the outermost means; the density beyond is below 1e-17."""


@torch.no_grad()
def pseudo_log_likelihood(rbm: RBM, v: Tensor, units: Tensor | None = None) -> Tensor:
    r"""Log pseudo-likelihood :math:`\sum_i \log p(v_i \mid v_{-i})`, which needs no log Z.

    With :math:`p(v) \propto \exp(-F(v))` the logit of :math:`p(v_i = 1 \mid v_{-i})` of a binary unit is
    :math:`F(v_i{=}0) - F(v_i{=}1)`; a value between 0 and 1 is a probability of a one, and its term the expectation.
    For real units the integral over :math:`v_i` is a sum of equidistant points: the density is a mixture of normal
    ones, for which the trapezoidal rule is exact to rounding.

    Args:
        rbm: with Bernoulli visible units, also of maps, or with Gaussian visible and Bernoulli hidden ones.
        v: visible states ``(batch, n_visible)``.
        units: a visible unit for each state ``(batch,)``, whose term stands for all; None sums all units, in
            ``n_visible`` times the time. Binary units only.

    Returns:
        ``(batch,)`` in nats; with ``units`` ``n_visible`` times the unit's term, whose expectation over evenly drawn
        units is the sum.

    Raises:
        SettingError: units of other types.
        DataError: ``v`` cannot be states of the visible units.

    References:
        Besag (1975), *Statistical analysis of non-lattice data*, The Statistician 24:179. Marlin et al. (2010),
        *Inductive principles for restricted Boltzmann machine learning*, AISTATS, section 3.3. Trefethen & Weideman
        (2014), *The exponentially convergent trapezoidal rule*, SIAM Review 56:385.
    """
    v = rbm.visible_states(v)
    own, positions = (rbm.visible.own, rbm.visible.positions) if isinstance(rbm.visible, PerMap) else (rbm.visible, 1)
    binary = isinstance(own, Bernoulli)
    real = type(rbm.visible) is Gaussian and isinstance(rbm.hidden, Bernoulli) and units is None
    if not (binary or real):
        raise SettingError(
            "The pseudo-likelihood is computed for bernoulli visible units, and summed over all of them for gaussian "
            f"ones with bernoulli hidden units; this RBM has {rbm.visible} and {rbm.hidden} units. Compare free "
            "energies within a model instead."
        )
    bias = rbm.visible.bias.repeat(positions)  # maps lie side by side at every position
    field, eye = rbm.hidden_field(v), torch.eye(rbm.n_visible, dtype=v.dtype, device=v.device)
    if units is not None:
        x = v.gather(1, units[:, None]).squeeze(1)
        return rbm.n_visible * _binary(rbm, x, field, rbm.hidden_field(eye[units]), bias[units])
    term = _binary if binary else _real
    total = torch.zeros(len(v), dtype=v.dtype, device=v.device)
    for unit in range(rbm.n_visible):
        weight = rbm.hidden_field(eye[unit : unit + 1])  # of any connection
        total += term(rbm, v[:, unit], field, weight, bias[unit])
    return total


def _binary(rbm: RBM, x: Tensor, field: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``log p(x | others)`` of a binary unit with states ``x`` ``(batch,)``.

    ``field`` ``(batch, n_hidden)`` is that of all visible units, ``weight`` ``(batch or 1, n_hidden)`` the unit's own.
    """
    off = field - x[:, None] * weight
    logit = rbm.hidden.log_partition(off + weight) - rbm.hidden.log_partition(off) + bias
    return x * logit - F.softplus(logit)


def _real(rbm: RBM, x: Tensor, field: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``log p(x | others)`` of a real unit with states ``x`` ``(batch,)``; as :func:`_binary`."""
    low, high = float(bias + weight.clamp(max=0).sum()) - TAIL, float(bias + weight.clamp(min=0).sum()) + TAIL
    points = torch.arange(low, high + SPACING, SPACING, dtype=x.dtype, device=x.device)
    others = field - x[:, None] * weight
    logs = [
        rbm.hidden.log_partition(others + float(point) * weight) - 0.5 * (float(point) - bias) ** 2 for point in points
    ]
    own = rbm.hidden.log_partition(field) - 0.5 * (x - bias) ** 2
    normaliser: Tensor = torch.logsumexp(torch.stack(logs), 0)
    return own - normaliser - math.log(SPACING)
