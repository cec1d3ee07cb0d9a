"""Log partition functions along training: annealing from each state of a model to the next."""

import torch
from torch import Tensor

from dbn.likelihood.enumeration import check_normalised
from dbn.likelihood.intervals import Estimate, estimate_log_mean
from dbn.models.rbm import RBM
from dbn.settings import check_number


class TrajectoryAnnealing:
    r"""Tracks ``log Z`` while an RBM trains, by importance sampling from each state of it to the next.

    Chains stay at the model as it changes: at every :meth:`update` their log weights grow by
    :math:`F_{t-1}(v) - F_t(v)`, and Gibbs steps of the new model follow. Neighbouring states of a model are alike, so
    that this takes a small part of the cost of annealing from the base rates each time; and modes do not open up
    suddenly, as they do along temperatures.

    Starts at the units without the weights, and goes from there to the model as it is: make it before training, after
    the biases have been set from the data, where weights are small.

    Args:
        rbm: the model.
        chains: number of chains.
        generator: source of randomness (default: torch's global one).

    Attributes:
        v: the chains, ``(chains, n_visible)``.
        log_weights: ``(chains,)`` float64, each an estimate of ``log Z`` in nats.

    Raises:
        SettingError: ``chains`` is no positive whole number, or units have no likelihood.

    Example:
        >>> import torch
        >>> from dbn import RBM, Bernoulli
        >>> from dbn.likelihood import TrajectoryAnnealing, log_partition_function
        >>> rbm = RBM(Bernoulli(10), Bernoulli(6), weight_std=0.01).double()
        >>> track = TrajectoryAnnealing(rbm, chains=500, generator=torch.Generator().manual_seed(0))
        >>> for _ in range(50):  # in the place of training
        ...     _ = rbm.weight.data.add_(0.01)
        ...     track.update(rbm)
        >>> abs(track.estimate.value - float(log_partition_function(rbm))) < 0.1
        True

    References:
        Béreux, Decelle, Furtlehner, Rosset & Seoane (2025), *Fast training and sampling of restricted Boltzmann
        machines*, ICLR; Neal (2001), *Annealed importance sampling*.
    """

    @torch.no_grad()
    def __init__(self, rbm: RBM, chains: int = 500, generator: torch.Generator | None = None) -> None:
        check_normalised(rbm)
        check_number("chains", chains, low=1, whole=True)
        self.generator = generator
        visible, hidden = rbm.weight.new_zeros(1, rbm.n_visible), rbm.weight.new_zeros(1, rbm.n_hidden)
        log_z = float(rbm.visible.log_partition(visible) + rbm.hidden.log_partition(hidden))
        self.v: Tensor = rbm.visible.sample(visible.repeat(chains, 1), generator)
        self.log_weights = torch.full((chains,), log_z, dtype=torch.float64)
        self._energies = rbm.free_energy(self.v, beta=0.0).double()
        self.update(rbm)

    @torch.no_grad()
    def update(self, rbm: RBM, steps: int = 1) -> None:
        """Follow the model to where it is now.

        Args:
            rbm: the model, which may have trained in place, or another of its shape, such as a later checkpoint.
            steps: Gibbs steps of the model as it is now.
        """
        self.log_weights += (self._energies - rbm.free_energy(self.v).double()).cpu()
        self.v = rbm.gibbs(self.v, steps, self.generator)
        self._energies = rbm.free_energy(self.v).double()

    @property
    def estimate(self) -> Estimate:
        """``log Z`` of the model last seen, in nats with a 95 % interval, by the bootstrap over chains."""
        return estimate_log_mean(self.log_weights)

    @property
    def effective_chains(self) -> float:
        r"""Effective number of chains, :math:`(\sum w)^2 / \sum w^2`; few: update more often, or with more steps."""
        return float((2 * torch.logsumexp(self.log_weights, 0) - torch.logsumexp(2 * self.log_weights, 0)).exp())
