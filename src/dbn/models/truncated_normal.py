r"""The density :math:`\propto e^{-y^2/2 + t y}` on :math:`y \ge 0`, a normal one cut off, for any float64 ``t``.

Far in the tail, ``t`` very negative, differences of nearly equal numbers are replaced by their asymptotic series.
"""

import math

import torch
from torch import Tensor

TAIL = 50.0
"""Distance beyond which moments come from series; their relative error is there about 2e-11, and falls."""
NEWTON_STEPS = 5
ROOT_HALF = math.sqrt(0.5)


def log_integral(t: Tensor) -> Tensor:
    r""":math:`\log \int_0^\infty e^{-y^2/2 + t y} dy`, elementwise."""
    low, high = t.clamp(max=0), t.clamp(min=0)  # autograd must not see infinities of the other branch
    below = (math.sqrt(math.pi / 2) * torch.special.erfcx(-low * ROOT_HALF)).log()
    above = 0.5 * high.square() + torch.special.log_ndtr(high) + 0.5 * math.log(2 * math.pi)
    return torch.where(t < 0, below, above)


def scaled_moments(t: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and mean square of ``y``, elementwise."""
    near, m = t.clamp(min=-TAIL), (-t).clamp(min=TAIL)
    first = near + math.sqrt(2 / math.pi) / torch.special.erfcx(-near * ROOT_HALF)
    inverse = 1 / m
    square = inverse.square()
    far_first = inverse * (1 - square * (2 - square * (10 - 74 * square)))
    far_second = square * (2 - square * (10 - 74 * square))
    return torch.where(t < -TAIL, far_first, first), torch.where(t < -TAIL, far_second, 1 + near * first)


def sample_positive(t: Tensor, u: Tensor) -> Tensor:
    """Draws of ``y``, from uniform numbers ``u`` in [0, 1), elementwise.

    For positive ``t`` by the inverse of the distribution function, otherwise by solving for the log of the probability
    to be beyond ``y`` by Newton's method, from the point that Marsaglia (1964) proposes for tails.
    """
    u = u.clamp(min=2.0**-53)
    high, m = t.clamp(min=0), (-t).clamp(min=0)
    above = high - torch.special.ndtri(u * torch.special.ndtr(high))
    log_u = u.log()
    y = -2 * log_u / ((m.square() - 2 * log_u).sqrt() + m)
    start = torch.special.erfcx(m * ROOT_HALF).log()
    for _ in range(NEWTON_STEPS):
        scaled = torch.special.erfcx((m + y) * ROOT_HALF)
        beyond = scaled.log() - start - y * (m + 0.5 * y)
        y = (y + (beyond - log_u) * scaled * math.sqrt(math.pi / 2)).clamp(min=0)
    return torch.where(t < 0, y, above)
