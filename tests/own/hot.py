"""A sampler of one's own: Gibbs sampling at a temperature of its own."""

from typing import Any

from torch import Tensor

from dbn.models.phases import Phase
from dbn.models.rbm import RBM
from dbn.samplers import Sampler


class Hot(Sampler):
    """``steps`` Gibbs steps at inverse temperature ``beta`` from the minibatch."""

    def __init__(self, steps: int = 1, beta: float = 0.9) -> None:
        self.steps = steps
        self.beta = beta

    @property
    def products(self) -> int:
        return 2 * self.steps

    def write_negative_states(self, rbm: RBM, positive: Phase, out: Tensor, generator: Any = None) -> None:
        out.copy_(rbm.gibbs(positive.v, self.steps, generator, self.beta))
