"""One update of a deep Boltzmann machine: mean-field positive phase, persistent negative phase."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dbn.fitting.block_module import Optimizer
from dbn.fitting.processes import add_gradients, sum_over_all
from dbn.models.dbm import DBM
from dbn.models.mean_field import MeanField
from dbn.pretraining.dbm_chains import ChainStates, PersistentStates
from dbn.random.streams import Noise


class DBMStep:
    """Raises the variational bound of a minibatch by one step of an optimiser.

    Args:
        dbm: the machine, updated in place; in a group every member is.
        chains: of the negative phase.
        mean_field_steps: most steps of inference.
        mean_field_tolerance: change of a mean at which an image's inference ends.

    References:
        Salakhutdinov & Hinton (2009), algorithm 1.
    """

    def __init__(self, dbm: DBM, chains: PersistentStates, mean_field_steps: int, mean_field_tolerance: float) -> None:
        self.dbm = dbm
        self.chains = chains
        self.mean_field_steps = mean_field_steps
        self.mean_field_tolerance = mean_field_tolerance

    @torch.no_grad()
    def __call__(
        self, v: Tensor, optimizer: Optimizer | Any, generator: Noise = None, count: int | None = None,
        weights: Tensor | None = None,
    ) -> None:  # fmt: skip
        """Take the step.

        Args:
            v: data ``(batch, n_visible)``, in a group ``(members, batch, n_visible)``; for binary units, values in
                [0, 1] are probabilities.
            optimizer: any torch optimiser of the machine's parameters.
            generator: source of the chains' noise.
            count: images in the minibatch over all processes; default ``batch``.
            weights: how much each image counts, as of :class:`dbn.pretraining.contrastive.ContrastiveStep`.
        """
        found = self.dbm.mean_field(v, steps=self.mean_field_steps, tolerance=self.mean_field_tolerance)
        moved = self.chains.move(self.dbm, found, generator)
        count = v.shape[-2] if count is None else count
        chains = count if self.chains.n_chains is None else self.chains.n_chains
        write_gradient_of_phases(self.dbm, v, found, moved, count, chains, generator, weights)
        add_gradients(self.dbm)
        optimizer.step()


def write_gradient_of_phases(
    dbm: DBM, v: Tensor, found: MeanField, moved: ChainStates, count: int, chains: int, generator: Noise = None,
    weights: Tensor | None = None,
) -> None:  # fmt: skip
    r"""Write the gradient of the mean of :math:`-L(q, v)` over the data into every ``grad``, without autograd.

    .. math:: -\frac{\partial L}{\partial W_l} = -\langle E_q[x_{l-1}] E_q[x_l]^T \rangle_{data}
        + \langle x_{l-1} x_l^T \rangle_{model}

    In the negative phase even layers are at their means given the odd ones, which are sampled: the expectation is the
    same, and has less noise.

    Args:
        dbm: the machine.
        v: data ``(batch, n_visible)``.
        found: their mean-field distributions.
        moved: the chains.
        count: images in the minibatch over all processes, whose gradients are then added.
        chains: chains over all processes.
        generator: source of noise for visible units whose means do not suffice.
        weights: how much each image counts, ``(batch,)``, in a group ``(members, batch)``; None: all count the same.
    """
    negative = [
        dbm[0].reconstruction(field, generator) if k == 0 else dbm[k].mean(field)
        for k, field in enumerate(moved.fields)
    ]
    of_units = [both(*pair) for pair in zip([v, *found.means], negative, strict=True)]
    fields = [both(*pair) for pair in zip([v, *found.fields], moved.fields, strict=True)]
    states = [
        own if k % 2 == 0 else both(positive, state)
        for k, (own, positive, state) in enumerate(zip(of_units, [v, *found.means], moved.states, strict=True))
    ]
    of_images = v.new_full(v.shape[:-1], -1 / count)
    of_chains = v.new_full(moved.states[0].shape[:-1], 1 / chains)
    if weights is not None:  # those of both phases sum to zero, as without
        (total,) = sum_over_all(weights.sum(-1, keepdim=v.dim() > 2))
        of_images.mul_(weights)
        of_chains.mul_(total / count)
    write_gradient(dbm, of_units, fields, states, both(of_images, of_chains, grouped=v.dim() > 2))


def write_gradient(
    dbm: DBM, of_units: Sequence[Tensor], fields: Sequence[Tensor], states: Sequence[Tensor], weights: Tensor
) -> None:
    r"""Write :math:`-\sum_s w_s \partial E(x_s)` into every ``grad``, hidden units at means.

    Args:
        dbm: the machine.
        of_units: visible states, and means of each hidden layer, for the units' parameters, ``(states, n_l)`` each.
        fields: those of which they are the means; of visible units none are needed.
        states: states or means of each layer, for the weights.
        weights: of the states, ``(states,)``; they sum to zero.

    In a group the shapes are ``(2, members, batch, n)`` and ``(2, members, batch)``.
    """
    dbm[0].write_minus_energy_gradient(of_units[0], weights)
    for k in range(1, len(dbm)):
        dbm[k].write_log_partition_gradient(fields[k], of_units[k], weights)
        dbm.connection(k).write_gradient(states[k - 1], states[k].clone(), weights)


def both(positive: Tensor, negative: Tensor, *, grouped: bool | None = None) -> Tensor:
    """Both phases as units and connections take them: ``(states, n)``, in a group ``(2, members, batch, n)``."""
    grouped = positive.dim() > 2 if grouped is None else grouped
    return torch.stack([positive, negative]) if grouped else torch.cat([positive, negative])
