"""Persistent chains of a deep Boltzmann machine."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.models.dbm import DBM
from dbn.models.mean_field import MeanField
from dbn.random.streams import Noise
from dbn.samplers.base import check_division
from dbn.settings import check_number


@dataclass(frozen=True, eq=False)
class ChainStates:
    """States of a machine's chains after a Gibbs step, and the fields that they were drawn from.

    Attributes:
        states: of all layers, ``(chains, n_l)`` each, the visible ones first.
        fields: likewise; those of even layers are given the odd layers' ``states``.
    """

    states: list[Tensor]
    fields: list[Tensor]


class PersistentStates:
    """Chains of Gibbs sampling that continue from one minibatch to the next.

    They start at samples given the first minibatch: odd layers from their mean-field distribution, and even ones given
    these. Without a number of ``chains`` there are as many as images in the first minibatch, and a smaller minibatch
    moves only the first ones. Each process has chains of its own, with noise of their own; a given number is divided.

    Args:
        steps: of :meth:`dbn.models.dbm.DBM.gibbs` for each minibatch, from 1.
        chains: number of chains, over all processes; None: one for each image of a minibatch.

    Attributes:
        even: states of the even layers, which the others are drawn from, ``(chains, n_l)`` each; empty before the first
            minibatch.

    Raises:
        SettingError: an invalid number.

    References:
        Younes (1989); Tieleman (2008); Salakhutdinov & Hinton (2009), section 2.2.
    """

    def __init__(self, steps: int = 5, chains: int | None = None) -> None:
        check_number("method.steps", steps, low=1, whole=True)
        if chains is not None:
            check_number("method.chains", chains, low=1, whole=True)
        self.steps = steps
        self.n_chains = chains
        self.processes = 1
        self.even: list[Tensor] = []

    def divide(self, processes: int) -> None:
        """Be the chains of one of several processes.

        Raises:
            SettingError: a given number of chains cannot be divided by their number.
        """
        check_division("method.chains", self.n_chains, processes)
        self.processes = processes

    def move(self, dbm: DBM, found: MeanField, generator: Noise = None) -> ChainStates:
        """Take the steps, and return the chains that count beside a minibatch.

        Args:
            dbm: the machine, or a group.
            found: mean-field distributions of the minibatch, ``(batch, n_l)``, in a group with the members first.
            generator: source of randomness (default: torch's global one).

        Raises:
            SettingError: the minibatch has more images than there are chains, or it is one of a group that has another
                number of images.
        """
        *members, batch, _ = found.means[0].shape
        n = batch if self.n_chains is None else self.n_chains // self.processes
        if members and n != batch:
            raise SettingError(
                f"method.chains={self.n_chains}: of seeds that train together each has as many chains as images in "
                f"every minibatch, here {batch}. Use method.chains=null, or n_parallel_seeds=1."
            )
        if not self.even:
            self.even = self.started(dbm, found, n, generator)
        if n > self.even[0].shape[-2]:
            raise SettingError(
                f"stack.every_layer.batch_size: {n} images for {self.even[0].shape[-2]} persistent chains. Keep the "
                "size of the first minibatch, or give their number, method.chains."
            )
        states: list[Tensor] = [found.means[0]] * len(dbm)  # odd layers are drawn first
        for number, chains in enumerate(self.even):
            states[2 * number] = chains[..., :n, :]
        fields: dict[int, Tensor] = {}
        for _ in range(self.steps):
            fields |= dbm.sample_layers(states, range(1, len(dbm), 2), generator)
            fields |= dbm.sample_layers(states, range(0, len(dbm), 2), generator)
        for number, chains in enumerate(self.even):
            chains[..., :n, :].copy_(states[2 * number])
        return ChainStates(states, [fields[k] for k in range(len(dbm))])

    def started(self, dbm: DBM, found: MeanField, n: int, generator: Noise) -> list[Tensor]:
        """Even layers of ``n`` new chains, at the images of a minibatch, from the first again after the last."""
        rows = torch.arange(n, device=found.means[0].device) % found.means[0].shape[-2]
        states: list[Tensor] = [found.means[0]] * len(dbm)
        for k in range(1, len(dbm), 2):
            states[k] = dbm[k].sample(found.fields[k - 1][..., rows, :], generator)
        dbm.sample_layers(states, range(0, len(dbm), 2), generator)
        with torch.inference_mode(False):  # chains outlive training
            return [states[k].clone() for k in range(0, len(dbm), 2)]

    def state_dict(self) -> dict[str, Tensor]:
        """The chains, for checkpoints."""
        return {f"layer{2 * number}": own for number, own in enumerate(self.even)}

    def load_state_dict(self, state_dict: dict[str, Tensor], device: torch.device) -> None:
        """Restore the chains of a checkpoint."""
        self.even = [state_dict[f"layer{2 * number}"].to(device) for number in range(len(state_dict))]
