"""Lower bounds of the likelihoods of deep belief networks of several layers."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.likelihood.enumeration import check_normalised
from dbn.models.dbm_layer import is_of_dbm
from dbn.models.dbn import DBN
from dbn.models.untied import Untied


@dataclass(frozen=True, eq=False)
class DBNBound:
    """Estimated lower bounds of ``log p(v)`` of visible states under a DBN.

    Attributes:
        variational: ``(batch,)`` in nats: the variational bound, averaged over samples of the hidden units.
        importance_weighted: ``(batch,)`` in nats: log of the mean of the samples' exponentials. In expectation between
            the variational bound and ``log p(v)``, which it reaches as samples grow.
    """

    variational: Tensor
    importance_weighted: Tensor


@torch.no_grad()
def dbn_log_likelihood_bound(
    stack: DBN,
    v: Tensor,
    log_z: Tensor | float,
    samples: int = 10,
    generator: torch.Generator | None = None,
    after_sample: Callable[[int], None] | None = None,
) -> DBNBound:
    r"""Lower bounds of ``log p(v)`` under a DBN, by samples of the hidden units from the mean-field posterior.

    The hidden units :math:`h_1, ..., h_{L-1}` below the top RBM are drawn upwards, :math:`q(h_l \mid h_{l-1})` that of
    RBM ``l``. As that has the same weights as :math:`p(h_{l-1} \mid h_l)`, their ratio is one of free energies:

    .. math:: \log p(v) \ge E_q\Big[\sum_{l<L} \big(G_l(h_l) - F_l(h_{l-1})\big) - F_L(h_{L-1})\Big] - \log Z_L

    (of an untied layer :math:`\log p(h_{l-1} \mid h_l) - \log q(h_l \mid h_{l-1})` itself, by its own weights)
    with :math:`h_0 = v`, the free energies :math:`F_l` of visible and :math:`G_l` of hidden states of RBM ``l``. Of a
    stack of one RBM both bounds are its log-likelihood.

    Args:
        stack: RBMs whose units have likelihoods, below the top one untied layers as well.
        v: visible states ``(batch, n_visible)``.
        log_z: log partition function of the top RBM.
        samples: of the hidden units, for each state.
        generator: source of randomness (default: torch's global one).
        after_sample: called after each sample with 1, such as to show progress.

    Raises:
        SettingError: a layer is no RBM, its units have no likelihood or are pooled, or ``samples`` is below 1.
        DataError: ``v`` cannot be states of the visible units.

    Example:
        >>> import torch
        >>> from dbn import DBN, RBM, Bernoulli
        >>> from dbn.likelihood import dbn_log_likelihood_bound, log_partition_function
        >>> stack = DBN([RBM(Bernoulli(9), Bernoulli(6)), RBM(Bernoulli(6), Bernoulli(5))])
        >>> log_z = log_partition_function(stack[1])
        >>> found = dbn_log_likelihood_bound(stack, torch.ones(2, 9), log_z)
        >>> bool((found.variational <= found.importance_weighted).all())
        True

    References:
        Salakhutdinov & Murray (2008), *On the quantitative analysis of deep belief networks*, section 5; Burda, Grosse
        & Salakhutdinov (2016), *Importance weighted autoencoders*, equation 8.
    """
    check_stack(stack)
    if samples < 1:
        raise SettingError(f"samples={samples}: the bound takes at least one sample of the hidden units.")
    terms = []
    for _ in range(samples):
        x, total = v, torch.zeros(len(v), dtype=torch.float64)
        *lower, top = [stack[k] for k in range(len(stack))]
        for layer in lower:
            below, x = x, layer.sample_hidden(x, generator)
            if isinstance(layer, Untied):
                total += (layer.log_generative(below, x) - layer.log_recognition(below, x)).double().cpu()
            else:
                total += (layer.free_energy_hidden(x) - layer.free_energy(below)).double().cpu()
        total += -top.free_energy(x).double().cpu()
        terms.append(total)
        if after_sample is not None:
            after_sample(1)
    found = torch.stack(terms) - float(log_z)
    return DBNBound(found.mean(0), found.logsumexp(0) - math.log(samples))


def check_stack(stack: DBN) -> None:
    """Raise :class:`SettingError` unless all layers are RBMs with likelihoods, and none is pooled."""
    if is_of_dbm(list(stack.layers)):
        raise SettingError(
            "This stack is a deep Boltzmann machine, which has a bound of its own: dbn.models.mean_field.bound of "
            "DBM.of_stack(stack)."
        )
    if not stack.is_generative:
        raise SettingError("This stack has no likelihood: only RBMs have a distribution.")
    for number in range(1, len(stack) + 1):
        check_normalised(stack[number - 1])
        if number < len(stack) and stack[number - 1].pooling is not None:
            raise SettingError(
                f"RBM {number} has pooled hidden units, which the layer above does not see all of: the bound is "
                "defined for stacks without pooling. Evaluate its RBMs one by one: the first as a stack of its own, "
                "DBN([stack[0]], stack.scaling).save('first.safetensors'), those above by average_log_likelihood."
            )
