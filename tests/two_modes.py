"""An RBM of two modes between which Gibbs sampling does not go."""

import torch
from torch import Tensor

from dbn import RBM
from dbn.models.units import Bernoulli


def two_modes(weight: float = 1.6, n_visible: int = 8, n_hidden: int = 6) -> RBM:
    """All units on, or all off, with about 0.7 and 0.3 of the probability; up to a unit or two.

    Without the tilt of the visible biases its energy is ``-weight (sum(v) - n_visible/2) (sum(h) - n_hidden/2)``.
    """
    rbm = RBM(Bernoulli(n_visible), Bernoulli(n_hidden)).double()
    with torch.no_grad():
        rbm.weight.fill_(weight)
        rbm.visible.bias.fill_(-weight * n_hidden / 2 + 0.1)
        rbm.hidden.bias.fill_(-weight * n_visible / 2)
    return rbm


def is_up(v: Tensor) -> Tensor:
    """Whether more than half of the visible units are on."""
    return v.mean(-1) > 0.5


@torch.no_grad()
def probability_of_up(rbm: RBM) -> float:
    """By enumeration."""
    states = rbm.visible.states()
    return float((torch.softmax(-rbm.free_energy(states), 0) * is_up(states)).sum())
