"""Samplers of the negative phase, one file each, selected in ``conf/sampler/``."""

from dbn.samplers.base import Sampler
from dbn.samplers.contrastive_divergence import ContrastiveDivergence
from dbn.samplers.fast_persistent import FastPersistentContrastiveDivergence
from dbn.samplers.hidden_chains import HiddenChains
from dbn.samplers.parallel_tempering import ParallelTempering
from dbn.samplers.persistent import PersistentContrastiveDivergence
from dbn.samplers.tempered_sampling import Tempered, parallel_tempering, trajectory_tempering
from dbn.samplers.trajectory_sampler import TrajectoryTempering

__all__ = [
    "ContrastiveDivergence",
    "FastPersistentContrastiveDivergence",
    "HiddenChains",
    "ParallelTempering",
    "PersistentContrastiveDivergence",
    "Sampler",
    "Tempered",
    "TrajectoryTempering",
    "parallel_tempering",
    "trajectory_tempering",
]
