"""Chains of several RBMs of one training, which exchange their states."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dbn.models.rbm import RBM
from dbn.random.streams import Noise
from dbn.samplers.swaps import Swaps, exchanged


class TrajectoryChains:
    r"""Rows of chains, one of each of several RBMs of the same units, with swaps between neighbours.

    A swap of the states :math:`v` of one model and :math:`w` of the next is taken with probability
    :math:`\min(1, \exp(F_1(v) + F_2(w) - F_1(w) - F_2(v)))`, which leaves the distribution of each as it is.

    Args:
        v: where the chains start, ``(models, rows, n_visible)``; copied.

    Attributes:
        v: visible states.
        swaps: what decides on swaps, with its record.

    References:
        Béreux, Decelle, Furtlehner, Rosset & Seoane (2025), *Fast training and sampling of restricted Boltzmann
        machines*, ICLR, https://arxiv.org/abs/2405.15376: parallel trajectory tempering.
    """

    def __init__(self, v: Tensor) -> None:
        with torch.inference_mode(False):  # chains outlive training
            self.v = v.clone()
            self.swaps = Swaps(v.shape[0], v.shape[1], (), v)

    @torch.no_grad()
    def move(self, models: Sequence[RBM], steps: int, generator: Noise = None) -> None:
        """Take ``steps`` rounds: swaps, then a step of Gibbs sampling of every model.

        Args:
            models: one for each of the chains in a row; units with likelihoods.
            steps: number of rounds.
            generator: source of randomness (default: torch's global one).
        """
        last = len(models) - 1
        for _ in range(steps):
            fields: list[Tensor] = []
            energies = self.v.new_empty(len(models), 3, self.v.shape[1])
            for k, rbm in enumerate(models):
                states = self.v[max(0, k - 1) : k + 2].flatten(0, 1)
                field = rbm.hidden_field(states, out=states.new_empty(len(states), rbm.n_hidden))
                free = rbm.visible.energy(states) - rbm.hidden.log_partition(field)
                fields.append(field.view(-1, self.v.shape[1], rbm.n_hidden))
                energies[k, int(k == 0) : 3 - int(k == last)] = free.view(-1, self.v.shape[1]).to(energies.dtype)
            of_previous, own, of_next = energies.unbind(1)
            index = self.swaps.draw(own[:-1] + own[1:] - of_next[:-1] - of_previous[1:], generator)
            self.v.copy_(exchanged(self.v, index))
            for k, (rbm, field) in enumerate(zip(models, fields, strict=True)):
                place = index[k] - max(0, k - 1)  # of the state that is here now, among those that there are fields of
                h = field.gather(0, place[None, :, None].expand(1, *field.shape[1:]))[0]
                rbm.hidden.sample(h, generator, out=h)
                v = self.v[k]
                rbm.visible.sample(rbm.visible_field(h, out=v), generator, out=v)
