"""Likelihoods of RBMs: exact by enumeration, estimated by annealed importance sampling; bounds, pseudo-likelihoods."""

from dbn.likelihood.annealed_sampling import (
    LogPartitionEstimate,
    annealed_importance_sampling,
    reverse_annealed_importance_sampling,
)
from dbn.likelihood.averages import average_log_likelihood, free_energy_gap
from dbn.likelihood.base_rates import BaseRates
from dbn.likelihood.dbm_annealing import anneal_dbm, anneal_dbm_in_reverse
from dbn.likelihood.dbm_enumeration import DBMEnumeration
from dbn.likelihood.dbn_bound import DBNBound, dbn_log_likelihood_bound
from dbn.likelihood.enumeration import Enumeration, log_likelihood, log_partition_function
from dbn.likelihood.intervals import Estimate, exactly
from dbn.likelihood.pseudo_likelihood import pseudo_log_likelihood
from dbn.likelihood.trajectory import TrajectoryAnnealing
from dbn.likelihood.word_perplexity import Perplexity, unigram_perplexity, word_perplexity

__all__ = [
    "BaseRates",
    "DBMEnumeration",
    "DBNBound",
    "Enumeration",
    "Estimate",
    "LogPartitionEstimate",
    "Perplexity",
    "TrajectoryAnnealing",
    "anneal_dbm",
    "anneal_dbm_in_reverse",
    "annealed_importance_sampling",
    "average_log_likelihood",
    "dbn_log_likelihood_bound",
    "exactly",
    "free_energy_gap",
    "log_likelihood",
    "log_partition_function",
    "pseudo_log_likelihood",
    "reverse_annealed_importance_sampling",
    "unigram_perplexity",
    "word_perplexity",
]
