"""Chains of neighbouring distributions that exchange their states: replica exchange, without its reversals."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dbn.random.noise import uniform
from dbn.random.streams import Noise

FROM_START = 1
"""Label of a state that was at the first distribution since it was last at the last one."""
FROM_END = 2
"""Label of a state that was at the last distribution since it was last at the first one."""


class Swaps:
    """Deterministic even-odd swaps between ``n`` distributions in a row, for several independent rows, with a record.

    In one round the pairs (0, 1), (2, 3), ... may exchange their states, in the next one the pairs (1, 2), (3, 4), ...
    A pair swaps with the probability ``min(1, exp(log_ratio))``, which leaves each of the distributions as it is. That
    pairs alternate, instead of being drawn, lets states travel rather than diffuse.

    Everything is on the device, without waiting for it.

    Args:
        n: number of distributions, from 2.
        rows: number of rows.
        members: ``(members,)`` in a group of models, else empty.
        like: gives dtype and device.

    Attributes:
        parity: 0 where the next round has the even pairs, else 1.
        labels: where each state was last, 0 before it was at the first distribution: ``(n, rows)``.
        round_trips: from the first to the last distribution and back, over all rows.
        rejections: probability of a pair not to swap, a mean over rows, summed over rounds: ``(n - 1,)``.
        rounds: number of rounds in that sum.

    References:
        Okabe et al. (2001); Syed, Bouchard-Côté, Deligiannidis & Doucet (2022), *Non-reversible parallel tempering: a
        scalable highly parallel MCMC scheme*, JRSS B 84:321.
    """

    def __init__(self, n: int, rows: int, members: tuple[int, ...], like: Tensor) -> None:
        device = like.device
        self.places = torch.arange(n, device=device).unsqueeze(-1)
        self.parity = torch.zeros((), dtype=torch.int64, device=device)
        self.labels = torch.zeros(*members, n, rows, dtype=torch.int64, device=device)
        self.round_trips = torch.zeros(members, dtype=torch.int64, device=device)
        self.rejections = torch.zeros(*members, n - 1, dtype=like.dtype, device=device)
        self.rounds = torch.zeros((), dtype=torch.int64, device=device)

    def draw(self, log_ratio: Tensor, generator: Noise = None) -> Tensor:
        """Decide which states are exchanged.

        Args:
            log_ratio: log of the density of the exchanged states over that of the present ones, of each pair of
                neighbours ``(n - 1, rows)``.
            generator: source of randomness.

        Returns:
            For each distribution the place from which its state comes, ``(n, rows)``.
        """
        accepted = log_ratio.clamp(max=0).exp()
        self.rejections.add_((1 - accepted).mean(-1))
        self.rounds.add_(1)
        takes_part = (self.places[:-1] + self.parity) % 2 == 0
        swapped = ((uniform(accepted, generator) < accepted) & takes_part).long()
        self.parity.add_(1).remainder_(2)
        index = self.places + F.pad(swapped, (0, 0, 0, 1)) - F.pad(swapped, (0, 0, 1, 0))
        self._follow(index)
        return index

    def _follow(self, index: Tensor) -> None:
        """Move the labels with the states, and count round trips."""
        labels = self.labels.gather(-2, index)
        first, last = labels[..., 0, :], labels[..., -1, :]
        self.round_trips.add_((first == FROM_END).sum(-1))
        first.fill_(FROM_START)
        last.copy_(torch.where(last == FROM_START, FROM_END, last))
        self.labels.copy_(labels)

    def mean_rejections(self) -> Tensor:
        """Mean probability of each pair not to swap, ``(n - 1,)``; zero before the first round."""
        return self.rejections / self.rounds.clamp(min=1)

    def begin_record(self) -> None:
        """Count rejections and round trips from now on; where states were stays known."""
        for own in (self.rejections, self.rounds, self.round_trips):
            own.zero_()

    def state(self) -> dict[str, Tensor]:
        """Everything that changes, by name."""
        return {
            "parity": self.parity, "labels": self.labels, "round_trips": self.round_trips,
            "rejections": self.rejections, "rounds": self.rounds,
        }  # fmt: skip


def exchanged(x: Tensor, index: Tensor) -> Tensor:
    """States ``(n, rows, size)`` after a swap, see :meth:`Swaps.draw`."""
    return x.gather(-3, index.unsqueeze(-1).expand(x.shape))
