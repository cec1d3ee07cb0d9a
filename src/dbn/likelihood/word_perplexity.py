"""Perplexity per word of documents: of replicated softmax models, and of single word frequencies beside them."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dbn.errors import DataError, SettingError
from dbn.likelihood.annealed_sampling import annealed_importance_sampling
from dbn.likelihood.enumeration import log_partition_function
from dbn.models.rbm import RBM
from dbn.models.units import ReplicatedSoftmax
from dbn.models.units.replicated_softmax import log_orders
from dbn.settings import check_number


@dataclass(frozen=True)
class Perplexity:
    r"""Perplexity per word, :math:`\exp(-\frac1N \sum_n \frac{1}{D_n} \log p(v_n))`, of ``N`` documents.

    Attributes:
        value: the perplexity.
        standard_error: of the annealing runs that estimated ``log Z``, by the delta method; 0 where it is exact. Chains
            that miss a mode make ``log Z``, and so the perplexity, too small, and this does not tell.
        documents: ``N``.
    """

    value: float
    standard_error: float
    documents: int


@torch.no_grad()
def word_perplexity(
    rbm: RBM, documents: Tensor, *, chains: int = 16, steps: int = 300, generator: torch.Generator | None = None
) -> Perplexity:
    """Perplexity per word of held-out documents, whose words are taken in their order.

    ``log Z`` of each length that occurs is summed exactly where the hidden units can be enumerated fast, up to 12
    binary ones, otherwise estimated by annealing chains of documents of all these lengths at once.

    Args:
        rbm: with replicated softmax visible units.
        documents: counts ``(N, words)``, none without words.
        chains: annealing chains for each length.
        steps: inverse temperatures of each chain.
        generator: source of randomness (default: torch's global one).

    Raises:
        SettingError: other visible units, or ``chains`` or ``steps`` is invalid.
        DataError: there are no documents, or one of no words.

    Example:
        >>> import torch
        >>> from dbn import RBM, Bernoulli
        >>> from dbn.likelihood import word_perplexity
        >>> from dbn.models.units import ReplicatedSoftmax
        >>> rbm = RBM(ReplicatedSoftmax(50), Bernoulli(3), weight_std=0.0)  # any word is as likely
        >>> round(word_perplexity(rbm, torch.ones(2, 50)).value, 2)
        50.0

    References:
        Salakhutdinov & Hinton (2009), *Replicated softmax*, NIPS 22, section 4.2, which averages 50 documents.
    """
    if not isinstance(rbm.visible, ReplicatedSoftmax):
        raise SettingError(f"The perplexity per word is one of replicated_softmax visible units, not {rbm.visible}.")
    check_number("chains", chains, low=2, whole=True)
    check_number("steps", steps, low=2, whole=True)
    documents = rbm.visible_states(documents)
    lengths = _lengths(documents)
    distinct, which = lengths.unique(return_inverse=True)
    log_z, errors = _log_z_of_lengths(rbm, distinct, chains, steps, generator)
    log_p = -rbm.free_energy(documents).double() - log_orders(documents.double()) - log_z[which]
    value = math.exp(-float((log_p / lengths).mean()))
    shares = torch.zeros_like(log_z).index_add_(0, which, 1 / lengths) / len(lengths)
    return Perplexity(value, value * float((shares * errors).square().sum().sqrt()), len(documents))


def unigram_perplexity(training: Tensor, documents: Tensor) -> Perplexity:
    """Perplexity per word of the model in which every word of every document is drawn by its frequency.

    Args:
        training: how often each word occurs in all training documents together, ``(words,)``; one more is added to
            each, so that no word is impossible.
        documents: counts ``(N, words)``, none without words.

    Raises:
        DataError: there are no documents, or one of no words.
    """
    lengths = _lengths(documents)
    more = training.double() + 1
    log_p = documents.double() @ (more / more.sum()).log()
    return Perplexity(math.exp(-float((log_p / lengths).mean())), 0.0, len(documents))


EXACT_UNITS = 12
"""Largest number of binary hidden units that are enumerated for each length."""


def _log_z_of_lengths(
    rbm: RBM, lengths: Tensor, chains: int, steps: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """``log Z`` of documents of each length, and its standard error, ``(lengths,)`` in float64."""
    assert isinstance(rbm.visible, ReplicatedSoftmax)
    if rbm.n_hidden <= EXACT_UNITS and rbm.hidden.kind in ("bernoulli", "spin"):
        exact = [RBM(rbm.visible.of_length(int(n)), rbm.hidden, rbm.connection) for n in lengths]
        return torch.stack([log_partition_function(own).double().cpu() for own in exact]), torch.zeros(len(lengths))
    v = rbm.weight.new_zeros(len(lengths), rbm.n_visible)
    v[:, 0] = lengths.to(v)  # given such documents, annealing starts from draws as long
    v = v.repeat_interleave(chains, 0)
    found = annealed_importance_sampling(rbm.given(v), torch.linspace(0, 1, steps), len(v), generator)
    log_weights = found.log_weights.view(len(lengths), chains)
    log_z = log_weights.logsumexp(1) - math.log(chains)
    relative = (log_weights - log_z[:, None]).exp()
    return log_z, relative.std(1) / chains**0.5


def _lengths(documents: Tensor) -> Tensor:
    """Words of each document, ``(N,)`` in float64 on the CPU.

    Raises:
        DataError: there are no documents, or one of no words.
    """
    lengths = documents.sum(1).double().cpu()
    if not len(lengths) or bool((lengths == 0).any()):
        raise DataError(
            f"documents: {int((lengths == 0).sum())} of {len(lengths)} have no words, and a perplexity per word is one "
            "of documents with words. Leave those out."
        )
    return lengths
