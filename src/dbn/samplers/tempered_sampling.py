"""Samples of RBMs whose own chains do not mix: parallel tempering, and tempering along a training's checkpoints."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dbn.errors import DataError, SettingError
from dbn.models.rbm import RBM
from dbn.random.streams import Noise
from dbn.samplers.ladder import adapted_ladder, even_ladder, recommended_temperatures
from dbn.samplers.swaps import Swaps
from dbn.samplers.tempered_chains import TemperedChains, check_exchangeable
from dbn.samplers.trajectory_chains import TrajectoryChains
from dbn.settings import check_number


@dataclass(frozen=True)
class Tempered:
    """Samples from chains that exchange states, and how well they traveled, counted in rounds with fixed temperatures.

    Attributes:
        v: visible states of the model ``(rows, n_visible)``.
        chains: those of every distribution in the row, the first one's first, ``(distributions, rows, n_visible)``.
        betas: inverse temperatures ``(distributions,)``; of checkpoints None.
        rejections: mean probability of each pair of neighbours not to swap ``(distributions - 1,)``.
        round_trips: from the first distribution to the last and back, for each row in 1000 rounds.
    """

    v: Tensor
    chains: Tensor
    betas: Tensor | None
    rejections: Tensor
    round_trips: float

    @property
    def communication_barrier(self) -> float:
        """Sum of the rejections of all pairs."""
        return float(self.rejections.sum())

    @property
    def recommended_distributions(self) -> int:
        """With how many there are most round trips, see :func:`dbn.samplers.ladder.recommended_temperatures`."""
        return recommended_temperatures(self.communication_barrier)


@torch.no_grad()
def parallel_tempering(
    rbm: RBM,
    v: Tensor,
    rounds: int,
    temperatures: int = 10,
    *,
    data: Tensor | None = None,
    generator: Noise = None,
) -> Tempered:
    """Sample an RBM by parallel tempering, see :class:`dbn.samplers.tempered_chains.TemperedChains`.

    The first half of the rounds spaces the temperatures, after 1, 2, 4, ... rounds; in the others they are fixed.

    Args:
        rbm: the model; units with likelihoods.
        v: where the chains start ``(rows, n_visible)``; each row is independent of the others.
        rounds: of swaps and Gibbs sampling, from 2.
        temperatures: their number, from 2.
        data: visible states, such as training images ``(n, n_visible)``, whose means the units have at the highest
            temperature, where they are independent; None: ``v``.
        generator: source of randomness (default: torch's global one).

    Raises:
        SettingError: a number is out of its range, or units have no likelihood.
        DataError: ``v`` or ``data`` cannot be visible states.

    Example:
        >>> import torch
        >>> from dbn import RBM, Bernoulli
        >>> from dbn.samplers import parallel_tempering
        >>> found = parallel_tempering(RBM(Bernoulli(20), Bernoulli(10)), torch.rand(50, 20), rounds=100)
        >>> found.v.shape, found.recommended_distributions
        (torch.Size([50, 20]), 2)

    References:
        Syed, Bouchard-Côté, Deligiannidis & Doucet (2022), *Non-reversible parallel tempering*, JRSS B 84:321.
    """
    check_number("rounds", rounds, low=2, whole=True)
    check_number("temperatures", temperatures, low=2, whole=True)
    start = rbm.visible_states(v)
    images = start if data is None else rbm.visible_states(data)
    tempered = TemperedChains(rbm, start, even_ladder(temperatures))
    tempered.refer_to([rbm], images.mean(0), rbm.mean_hidden(images).mean(0))
    done, length = 0, 1
    while done + length <= rounds // 2:
        tempered.move(rbm, length, generator)
        tempered.betas.copy_(adapted_ladder(tempered.betas, tempered.swaps.mean_rejections()))
        tempered.swaps.begin_record()
        done, length = done + length, 2 * length
    tempered.move(rbm, rounds - done, generator)
    chains = tempered.by_temperature(tempered.v)
    return _found(chains, tempered.betas, tempered.swaps)


@torch.no_grad()
def trajectory_tempering(models: Sequence[RBM], v: Tensor, rounds: int, *, generator: Noise = None) -> Tempered:
    """Sample an RBM with chains of earlier stages of its training, which mix faster, as companions.

    In each round neighbours in the row of models may swap states, and each model takes a step of Gibbs sampling, see
    :class:`dbn.samplers.trajectory_chains.TrajectoryChains`. A ladder of temperatures may cross a first-order
    transition, past which few swaps are taken; along a training transitions are continuous (Béreux et al. 2025).

    Args:
        models: at several times of training, in order, the one to sample last; their likelihoods must overlap, see
            :attr:`Tempered.rejections`. The first should mix by itself, such as one with small weights.
        v: where the chains start, those of all models ``(rows, n_visible)`` or of each ``(models, rows, n_visible)``;
            each row is independent of the others.
        rounds: of swaps and Gibbs sampling, from 1.
        generator: source of randomness (default: torch's global one).

    Raises:
        SettingError: fewer than two models, models of different units, or units without likelihood.
        DataError: ``v`` cannot be visible states, or those of as many models.

    Example:
        >>> import torch
        >>> from dbn import RBM, Bernoulli
        >>> from dbn.samplers import trajectory_tempering
        >>> models = [RBM(Bernoulli(20), Bernoulli(10), weight_std=std) for std in (0.01, 0.05, 0.1)]
        >>> trajectory_tempering(models, torch.zeros(50, 20), rounds=10).chains.shape
        torch.Size([3, 50, 20])

    References:
        Béreux, Decelle, Furtlehner, Rosset & Seoane (2025), *Fast training and sampling of restricted Boltzmann
        machines*, ICLR, https://arxiv.org/abs/2405.15376: parallel trajectory tempering.
    """
    check_number("rounds", rounds, low=1, whole=True)
    models = list(models)
    if len(models) < 2:
        raise SettingError(f"models holds {len(models)}: tempering takes at least two, in the order of training.")
    last = models[-1]
    for rbm in models:
        check_exchangeable(rbm)
        if not (rbm.visible.matches(last.visible) and rbm.hidden.matches(last.hidden)):
            raise SettingError(
                f"models: one has {rbm.visible} by {rbm.hidden}, the last one {last.visible} by {last.hidden}. Give "
                "checkpoints of one training."
            )
    given = list(v) if torch.is_tensor(v) and v.dim() == 3 else [v] * len(models)
    if len(given) != len(models):
        raise DataError(
            f"v holds states of {len(given)} models, and there are {len(models)} models. Give one for each."
        )
    chains = torch.stack([last.visible_states(own) for own in given])
    row = TrajectoryChains(chains)
    row.move(models, rounds, generator)
    return _found(row.v, None, row.swaps)


def _found(chains: Tensor, betas: Tensor | None, swaps: Swaps) -> Tempered:
    trips = 1000 * int(swaps.round_trips) / (int(swaps.rounds) * chains.shape[1])
    return Tempered(chains[-1].clone(), chains, betas, swaps.mean_rejections(), trips)
