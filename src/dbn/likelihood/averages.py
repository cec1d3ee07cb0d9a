"""Averages over data, with intervals: of log-likelihoods, and of free energies of seen and unseen data."""

import torch
from torch import Tensor

from dbn.likelihood.enumeration import check_normalised
from dbn.likelihood.intervals import Estimate, estimate_mean
from dbn.models.rbm import RBM


@torch.no_grad()
def average_log_likelihood(rbm: RBM, v: Tensor, log_z: Estimate) -> Estimate:
    r"""Average log-likelihood :math:`-\langle F(v)\rangle - \log Z` of data, in nats, with a 95 % interval.

    The interval holds both what is uncertain in ``log_z`` and that the data are a sample: the average is that of the
    distribution they come from.

    Args:
        rbm: the model.
        v: independent visible states ``(n, n_visible)``; of binary units zeros and ones, not grey values.
        log_z: the log partition function, see :attr:`~dbn.likelihood.LogPartitionEstimate.estimate`; where it is known,
            ``exactly(float(log_partition_function(rbm)))``.

    Raises:
        SettingError: units have no likelihood.
        DataError: ``v`` cannot be states of the visible units.
    """
    check_normalised(rbm)
    return estimate_mean(-rbm.free_energy(v)) - log_z


@torch.no_grad()
def free_energy_gap(rbm: RBM, train: Tensor, held_out: Tensor) -> Estimate:
    """Average free energy of held-out data minus that of training data, in nats, with a 95 % interval.

    It needs no ``log Z``. Near zero while the model does not overfit; it grows when it does.

    Args:
        rbm: the model.
        train: visible states that it was trained on, ``(n, n_visible)``.
        held_out: visible states of the same distribution that it was not trained on.

    Raises:
        DataError: they cannot be states of the visible units.

    References:
        Hinton (2012), *A Practical Guide to Training Restricted Boltzmann Machines*, section 6.
    """
    return estimate_mean(rbm.free_energy(held_out)) - estimate_mean(rbm.free_energy(train))
