"""Annealed importance sampling: estimates of the partition function of RBMs too large to enumerate."""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.likelihood.enumeration import check_normalised
from dbn.models.rbm import RBM


@dataclass(frozen=True)
class LogPartitionEstimate:
    r"""An estimate of ``log Z`` from independent annealing runs.

    Attributes:
        log_z: the estimate in nats: log of the mean importance weight; in reverse, minus the log of the mean inverse
            weight.
        log_z_standard_error: of ``log_z``, by the delta method: :math:`s_w / (\bar w \sqrt n)` of the ``n`` importance
            weights ``w`` (in reverse, of their inverses). Too small if a few chains dominate the mean.
        bound: mean of the log weights, a stochastic lower bound of ``log Z``; in reverse, an upper bound.
        bound_standard_error: of ``bound``: :math:`s / \sqrt n` of the log weights. Not an error of ``log_z``.
        log_weights: ``(chains,)``, each an estimate of ``log Z`` in nats.

    Both standard errors are NaN for a single chain.
    """

    log_z: float
    log_z_standard_error: float
    bound: float
    bound_standard_error: float
    log_weights: Tensor


@torch.no_grad()
def annealed_importance_sampling(
    rbm: RBM, betas: Tensor, chains: int, generator: torch.Generator | None = None
) -> LogPartitionEstimate:
    """Estimate ``log Z`` by annealing from the model with ``W = 0``, whose ``log Z`` is known, to the model.

    The intermediate distributions are the model at inverse temperatures ``beta``, see :class:`dbn.models.rbm.RBM`: the
    interaction is multiplied by ``beta``, the biases are not. For any pair of unit types that have likelihoods.

    Args:
        rbm: the model.
        betas: ``(steps,)`` rising from 0 to 1.
        chains: number of independent runs.
        generator: source of randomness (default: torch's global one).

    Raises:
        SettingError: ``betas`` does not rise from 0 to 1, there is no chain, or units have no likelihood.

    Example:
        >>> import torch
        >>> from dbn import RBM, Bernoulli
        >>> from dbn.likelihood import annealed_importance_sampling, log_partition_function
        >>> rbm = RBM(Bernoulli(10), Bernoulli(6)).double()
        >>> estimate = annealed_importance_sampling(rbm, torch.linspace(0, 1, 100), chains=100)
        >>> abs(estimate.log_z - float(log_partition_function(rbm))) < 0.1
        True

    References:
        Neal (2001); Salakhutdinov & Murray (2008), *On the quantitative analysis of deep belief networks*.
    """
    _check(betas, chains)
    check_normalised(rbm)
    v = rbm.visible.sample(rbm.weight.new_zeros(chains, rbm.n_visible), generator)
    return _anneal(rbm, v, betas, _log_z_without_weights(rbm, v), 1.0, generator)


@torch.no_grad()
def reverse_annealed_importance_sampling(
    rbm: RBM, v: Tensor, betas: Tensor, generator: torch.Generator | None = None
) -> LogPartitionEstimate:
    """Estimate ``log Z`` by annealing from the model to the model with ``W = 0``: a stochastic upper bound.

    Args:
        rbm: the model.
        v: ``(chains, n_visible)`` exact samples of the model, which the bound requires.
        betas: ``(steps,)`` rising from 0 to 1, used in reverse order.
        generator: source of randomness (default: torch's global one).

    Raises:
        SettingError: ``betas`` does not rise from 0 to 1, ``v`` is empty, or units have no likelihood.

    References:
        Burda, Grosse & Salakhutdinov (2015); Grosse, Ancha & Roy (2016), *Measuring the reliability of MCMC inference*.
    """
    _check(betas, len(v))
    check_normalised(rbm)
    return _anneal(rbm, v, betas.flip(0), _log_z_without_weights(rbm, v), -1.0, generator)


def _anneal(
    rbm: RBM, v: Tensor, betas: Tensor, log_z_start: Tensor, sign: float, generator: torch.Generator | None
) -> LogPartitionEstimate:
    """Anneal the chains ``v`` along ``betas`` and accumulate the log importance weights."""
    log_weights = torch.zeros(len(v), dtype=torch.float64)
    for previous, beta in pairwise(betas.tolist()):
        before, after = rbm.free_energy(v, beta=(previous, beta))
        log_weights += (before - after).double().cpu()
        v = rbm.gibbs(v, 1, generator, beta)
    log_weights = sign * log_weights + log_z_start.double().cpu()
    log_mean = torch.logsumexp(sign * log_weights, 0) - math.log(len(log_weights))
    relative = (sign * log_weights - log_mean).exp()  # weights over their mean, for the delta method
    return LogPartitionEstimate(
        log_z=float(sign * log_mean),
        log_z_standard_error=_standard_error(relative),
        bound=float(log_weights.mean()),
        bound_standard_error=_standard_error(log_weights),
        log_weights=log_weights,
    )


def _standard_error(values: Tensor) -> float:
    """Standard error of the mean of independent values ``(n,)``; NaN if ``n`` is 1."""
    return float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def _log_z_without_weights(rbm: RBM, v: Tensor) -> Tensor:
    """``log Z`` of the model with ``W = 0``, whose layers are independent, in nats.

    Args:
        rbm: the model.
        v: states of the chains ``(chains, n_visible)``, of which totals count where visible units keep these.

    Returns:
        ``(1,)``, or ``(chains,)`` where the chains' documents differ in length.
    """
    visible = rbm.visible.log_partition(rbm.weight.new_zeros(1, rbm.n_visible))
    return visible + rbm.hidden.log_partition(rbm.hidden_field(v[: len(visible)], beta=0.0))


def _check(betas: Tensor, chains: int) -> None:
    rises = betas.ndim == 1 and len(betas) > 1 and bool((betas.diff() > 0).all())
    if not rises or float(betas[0]) != 0 or float(betas[-1]) != 1:
        raise SettingError(
            f"betas={betas.tolist()[:5]}...: they must rise from 0 to 1, e.g. torch.linspace(0, 1, 1000)."
        )
    if chains < 1:
        raise SettingError(f"chains={chains}: annealed importance sampling takes at least one.")
