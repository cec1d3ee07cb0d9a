"""Samplers of the negative phase, one file each, selected in ``conf/sampler/``."""

from dbn.samplers.base import Sampler
from dbn.samplers.contrastive_divergence import ContrastiveDivergence
from dbn.samplers.hidden_chains import HiddenChains
from dbn.samplers.persistent import PersistentContrastiveDivergence

__all__ = ["ContrastiveDivergence", "HiddenChains", "PersistentContrastiveDivergence", "Sampler"]
