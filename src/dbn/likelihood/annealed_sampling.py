"""Annealed importance sampling: estimates of the partition function of RBMs too large to enumerate."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.likelihood.base_rates import BaseRates
from dbn.likelihood.enumeration import check_normalised
from dbn.likelihood.intervals import Estimate, estimate_log_mean
from dbn.models.rbm import RBM
from dbn.settings import check_number, format_value

Betas = Tensor | Sequence[float]
"""Inverse temperatures: a tensor, a numpy array, or a list."""

AfterStep = Callable[[int], None]
"""Is told how many more temperatures are done."""


def _ignore(more: int) -> None:
    """Show no progress."""


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
        in_reverse: the chains went from the model to the independent one.

    Both standard errors are NaN for a single chain.
    """

    log_z: float
    log_z_standard_error: float
    bound: float
    bound_standard_error: float
    log_weights: Tensor
    in_reverse: bool = False

    @cached_property
    def estimate(self) -> Estimate:
        """``log_z`` with its 95 % interval, by the bootstrap over chains; NaN for fewer than 10 chains.

        The interval is that of the sampling error of the chains that there are. It cannot know of modes that none of
        them has been in: compare with the estimate in the other direction.
        """
        found = estimate_log_mean(self._sign * self.log_weights)
        return -found if self.in_reverse else found

    @property
    def effective_chains(self) -> float:
        r"""Effective number of chains, :math:`(\sum w)^2 / \sum w^2`, from 1 to the number of chains.

        References:
            Kong, Liu & Wong (1994), *Sequential imputations and Bayesian missing data problems*, JASA 89:278.
        """
        logs = self._sign * self.log_weights
        return float((2 * torch.logsumexp(logs, 0) - torch.logsumexp(2 * logs, 0)).exp())

    @property
    def _sign(self) -> float:
        return -1.0 if self.in_reverse else 1.0


@torch.no_grad()
def annealed_importance_sampling(
    rbm: RBM,
    betas: Betas,
    chains: int,
    generator: torch.Generator | None = None,
    *,
    base: BaseRates | None = None,
    after_step: AfterStep = _ignore,
) -> LogPartitionEstimate:
    """Estimate ``log Z`` by annealing from a model of independent units, whose ``log Z`` is known, to the model.

    The intermediate distributions are the model at inverse temperatures ``beta``, see :class:`dbn.models.rbm.RBM`: the
    interaction is multiplied by ``beta``, the biases are not; and the constant field of ``base`` by ``1 - beta``. For
    any pair of unit types that have likelihoods. All chains are one batch, on the model's device, with two products a
    temperature; weights are added up in float64.

    Args:
        rbm: the model.
        betas: ``(steps,)`` numbers that rise from 0 to 1.
        chains: number of independent runs.
        generator: source of randomness (default: torch's global one).
        base: where to start, see :meth:`BaseRates.fitted`; None: the model with ``W = 0``.
        after_step: called after every temperature with 1, such as to show progress.

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
    check_number("chains", chains, low=1, whole=True)
    steps = rising(betas)
    check_normalised(rbm)
    base = BaseRates.of_biases(rbm) if base is None else base
    v = base.sample_visible(rbm, chains, generator)
    return _anneal(rbm, v, steps, base, generator, after_step, in_reverse=False)


@torch.no_grad()
def reverse_annealed_importance_sampling(
    rbm: RBM,
    v: Tensor,
    betas: Betas,
    generator: torch.Generator | None = None,
    *,
    base: BaseRates | None = None,
    after_step: AfterStep = _ignore,
) -> LogPartitionEstimate:
    """Estimate ``log Z`` by annealing from the model to a model of independent units: a stochastic upper bound.

    Args:
        rbm: the model.
        v: ``(chains, n_visible)`` exact samples of the model, which the bound requires; see
            :meth:`dbn.likelihood.Enumeration.sample` where they can be drawn.
        betas: ``(steps,)`` numbers that rise from 0 to 1, used in reverse order.
        generator: source of randomness (default: torch's global one).
        base: where to end; None: the model with ``W = 0``.
        after_step: as in :func:`annealed_importance_sampling`.

    Raises:
        SettingError: ``betas`` does not rise from 0 to 1, ``v`` is empty, or units have no likelihood.

    References:
        Burda, Grosse & Salakhutdinov (2015); Grosse, Ancha & Roy (2016), *Measuring the reliability of MCMC inference*.
    """
    steps = rising(betas)
    if not len(v):
        raise SettingError("v: annealed importance sampling in reverse takes at least one sample of the model.")
    check_normalised(rbm)
    base = BaseRates.of_biases(rbm) if base is None else base
    return _anneal(rbm, rbm.visible_states(v), steps[::-1], base, generator, after_step, in_reverse=True)


def _anneal(
    rbm: RBM,
    v: Tensor,
    betas: Sequence[float],
    base: BaseRates,
    generator: torch.Generator | None,
    after_step: AfterStep,
    *,
    in_reverse: bool,
) -> LogPartitionEstimate:
    """Anneal the chains ``v`` along ``betas`` and accumulate the log importance weights."""
    sign = -1.0 if in_reverse else 1.0
    log_weights = torch.zeros(len(v), dtype=torch.float64, device=v.device)
    last = betas[-1]
    for previous, beta in pairwise(betas):
        field = rbm.connection.hidden_field(v)
        of_visible = (previous - beta) * (v @ base.field)
        after, before = (rbm.hidden.log_partition(rbm.with_scaled_bias(b * field, v)) for b in (beta, previous))
        log_weights += of_visible.double() + (after.double() - before.double())
        if beta != last:  # the weights do not depend on what comes after
            h = rbm.hidden.sample(rbm.with_scaled_bias(field.mul_(beta), v), generator)
            v = rbm.visible.sample(torch.lerp(base.field, rbm.connection.visible_field(h), beta), generator)
        after_step(1)
    return estimate_of(sign * log_weights.cpu() + base.log_z(rbm, v).double().cpu(), in_reverse=in_reverse)


def estimate_of(log_weights: Tensor, *, in_reverse: bool) -> LogPartitionEstimate:
    """The estimate from log importance weights ``(chains,)`` float64, each an estimate of ``log Z`` in nats."""
    sign = -1.0 if in_reverse else 1.0
    log_mean = torch.logsumexp(sign * log_weights, 0) - math.log(len(log_weights))
    relative = (sign * log_weights - log_mean).exp()  # weights over their mean, for the delta method
    return LogPartitionEstimate(
        log_z=float(sign * log_mean),
        log_z_standard_error=_standard_error(relative),
        bound=float(log_weights.mean()),
        bound_standard_error=_standard_error(log_weights),
        log_weights=log_weights,
        in_reverse=in_reverse,
    )


def _standard_error(values: Tensor) -> float:
    """Standard error of the mean of independent values ``(n,)``; NaN if ``n`` is 1."""
    return float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def rising(betas: Betas) -> list[float]:
    """Inverse temperatures as a list.

    Raises:
        SettingError: they are not numbers that rise from 0 to 1.
    """
    try:
        steps = torch.as_tensor(betas, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise SettingError(
            f"betas={format_value(betas)}: they must be numbers, e.g. torch.linspace(0, 1, 1000)."
        ) from error
    rises = steps.ndim == 1 and len(steps) > 1 and bool((steps.diff() > 0).all())
    numbers: list[float] = steps.flatten().tolist()
    if not rises or numbers[0] != 0 or numbers[-1] != 1:
        raise SettingError(f"betas={numbers[:5]}...: they must rise from 0 to 1, e.g. torch.linspace(0, 1, 1000).")
    return numbers
