"""Likelihoods of RBMs: exact by enumeration, estimated by annealed importance sampling; pseudo-likelihoods."""

from dbn.likelihood.annealed_sampling import (
    LogPartitionEstimate,
    annealed_importance_sampling,
    reverse_annealed_importance_sampling,
)
from dbn.likelihood.enumeration import log_likelihood, log_partition_function
from dbn.likelihood.pseudo_likelihood import pseudo_log_likelihood
from dbn.likelihood.word_perplexity import Perplexity, unigram_perplexity, word_perplexity

__all__ = [
    "LogPartitionEstimate",
    "Perplexity",
    "annealed_importance_sampling",
    "log_likelihood",
    "log_partition_function",
    "pseudo_log_likelihood",
    "reverse_annealed_importance_sampling",
    "unigram_perplexity",
    "word_perplexity",
]
