"""Likelihoods of RBMs: exact by enumeration, estimated by annealed importance sampling."""

from dbn.likelihood.annealed_sampling import (
    LogPartitionEstimate,
    annealed_importance_sampling,
    reverse_annealed_importance_sampling,
)
from dbn.likelihood.enumeration import log_likelihood, log_partition_function

__all__ = [
    "LogPartitionEstimate",
    "annealed_importance_sampling",
    "log_likelihood",
    "log_partition_function",
    "reverse_annealed_importance_sampling",
]
